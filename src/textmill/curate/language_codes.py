"""Codes of languages: what ``eng_Latn``, ``eng`` and ``en`` have in common."""

from __future__ import annotations

import re

# ISO 639-1 with ISO 639-3: two letters, then three.
_CODES = (
    "aaaar ababk aeave afafr akaka amamh anarg arara asasm avava ayaym azaze babak bebel bgbul bibis bmbam "
    "bnben bobod brbre bsbos cacat ceche chcha cocos crcre csces cuchu cvchv cycym dadan dedeu dvdiv dzdzo "
    "eeewe elell eneng eoepo esspa etest eueus fafas ffful fifin fjfij fofao frfra fyfry gagle gdgla glglg "
    "gngrn guguj gvglv hahau heheb hihin hohmo hrhrv hthat huhun hyhye hzher iaina idind ieile igibo iiiii "
    "ikipk ioido isisl itita iuiku jajpn jvjav kakat kgkon kikik kjkua kkkaz klkal kmkhm knkan kokor krkau "
    "kskas kukur kvkom kwcor kykir lalat lbltz lglug lilim lnlin lolao ltlit lulub lvlav mgmlg mhmah mimri "
    "mkmkd mlmal mnmon mrmar msmsa mtmlt mymya nanau nbnob ndnde nenep ngndo nlnld nnnno nonor nrnbl nvnav "
    "nynya ococi ojoji omorm orori ososs papan pipli plpol pspus ptpor quque rmroh rnrun roron rurus rwkin "
    "sasan scsrd sdsnd sesme sgsag shhbs sisin skslk slslv smsmo snsna sosom sqsqi srsrp ssssw stsot susun "
    "svswe swswa tatam tetel tgtgk ththa titir tktuk tltgl tntsn toton trtur tstso tttat twtwi tytah uguig "
    "ukukr ururd uzuzb veven vivie vovol wawln wowol xhxho yiyid yoyor zazha zhzho zuzul "
)
_ISO_639_1 = {pair[2:]: pair[:2] for pair in _CODES.split()}
# Single languages that models name where ISO 639-1 has only their group (ISO 639-3, macrolanguages). Left out:
# als, which is Tosk Albanian there and Alemannic to fastText's lid.176.
_GROUP_CODES = (
    "arb:ar cmn:zh zsm:ms pes:fa lvs:lv ekk:et swh:sw uzn:uz azj:az khk:mn npi:ne ory:or pbt:ps plt:mg ydd:yi "
    "kmr:ku gug:gn quy:qu ayr:ay"
)
_GROUPS = {pair[:3]: pair[4:] for pair in _GROUP_CODES.split()}
_WITH_SCRIPT = re.compile(r"([a-z]{2,3})[_-]([A-Z][a-z]{3})")


def language_code(label: str) -> str:
    """ISO 639-1 of a language if it has one, else the code as it is: ``en`` for ``eng_Latn`` and ``eng``."""
    match = _WITH_SCRIPT.fullmatch(label)
    code = match[1] if match else label
    return _GROUPS.get(code) or _ISO_639_1.get(code, code)


def has_script(label: str) -> bool:
    """Whether a label names a script, as ``eng_Latn`` does (ISO 15924)."""
    return _WITH_SCRIPT.fullmatch(label) is not None
