"""What a compiled program will need of each chip, told before there is one.

`hlo` reads the program that the compiler made, `work` counts in it what is multiplied and what is
sent, however often loops go around.
"""
