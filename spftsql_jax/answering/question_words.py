"""Words of English questions, as data: for `known_words`, which says which words of a question a
database knows.

Nothing but lists of words. The verdict on a question rests on the agreement of sampled answers;
these only say why.
"""

from __future__ import annotations

# Words that say how something is asked, not about what: they need not stand in the database.
_FUNCTION_WORDS = """
  a about above across after again against ago all along alphabetic alphabetical alphabetically
  already also although always am among amount an and another any anybody anyone anything apart
  appear are aren't around as ascending ask associated at available average back be became because
  become been before began begin being belong below beside besides best between beyond bigger
  biggest both bottom but by calculate called came can come common compare compute contain
  containing contains correspond corresponding cost could count counted current currently
  decreasing descending describe descriptive detail details determine did didn't differ different
  display distinct do does doesn't doing don't done down during each earlier earliest either else
  end ended ending ends equal equals ever every exactly except exist exists fewer fewest find
  first five following for four frequent frequently from further gave get give given gives go
  going got greater greatest group grouped had half happen happened has have having he her here
  hers high higher highest him his how however i id ids if in include included including
  increasing individual information instead into is isn't it item items its itself just kind kinds
  know large larger largest last late later latest least less let like list listed long longer
  longest look low lower lowest made main make many match matching maximum may me mean meaning
  mention might minimum month months more most much must my name named names near need neither
  never new newest next no nobody none nor not nothing now null number numbers obtain of off offer
  often old older oldest on once one ones only onto or order ordered other others otherwise our
  out over own part particular per percent percentage percentages please possible present previous
  provide put ratio recent recently record recorded records related report respective respectively
  result results return returned row rows said same say second see several shall share she short
  shorter shortest should show shown shows since single small smaller smallest so some somebody
  someone something sort sorted start started starting still such sum table tell ten than thank
  that the their theirs them themselves then there these they thing things this those though three
  through thus till time times to today together told too top total twice two type types under
  unique unless until up upon us use used uses using value values various very was wasn't way we
  well went were weren't what whatever when where whether which while who whole whom whose why
  will with within without word would write year years yes yesterday yet you young younger
  youngest your zero
"""
FUNCTION_WORDS = frozenset(_FUNCTION_WORDS.split())
# With which a sentence may begin without having said yet what is wanted.
_BEFORE_THE_VERB = """
  a able ahead also and assistant be can could database dear do first go have hello hey hi i
  immediately in just kindly let let's lets like must my need next now ok okay please right shall should
  so sql system the then this to us want we will would you your
"""
BEFORE_THE_VERB = frozenset(_BEFORE_THE_VERB.split())
# Base forms that ask for data to be changed, where they are what a sentence asks to do.
_CHANGING_VERBS = """
  abort add alter anonymize append archive assign attach ban block book cancel change clean clear
  close convert correct create cut deactivate decrease decrement delete demote deregister disable
  discard double drop edit eliminate empty enable enrol enroll enter erase extend fill fire fix
  grant halve hire import increase increment insert invalidate kill lock lower merge modify move
  obliterate overwrite patch postpone promote purge push put raise reassign record reduce refund
  register reindex remove rename replace reschedule reset restore restrict revoke rollback
  schedule set shorten split subtract swap transfer trim truncate unlock unregister unsubscribe
  update upgrade upsert vacuum void wipe
"""
CHANGING_VERBS = frozenset(_CHANGING_VERBS.split())
# Beginnings that look like the ones above and ask nothing but a question.
_QUESTION_PHRASES = """
  add up, cut off, order by, set aside, split by, book value, record count, close to, change in, create a list,
  create a ranking, create a report, create a summary, create a chart, create an overview, raise in
"""
QUESTION_PHRASES = tuple(phrase.strip() for phrase in _QUESTION_PHRASES.split(","))
