"""The characters and words that English tokens are cut by, as tables for the kernels."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt

from textmill.text.classes import CATEGORY_SHIFT, class_of
from textmill.text.english_chunks import CURRENCY, CUT, DIGIT, OPENS, QUOTE, role_of_category

QUOTES = "'\"”“`‘´’‚,„»«「」『』（）〔〕【】《》〈〉〈〉⟦⟧"
PUNCTUATION = "…,:;!?¿؟¡()[]{}<>_#*&。？！，、；：～·।،۔؛٪—–" + QUOTES
CURRENCIES = "$£€¥฿₽﷼₴₠₡₢₣₤₥₦₧₨₩₪₫₭₮₯₰₱₲₳₵₶₷₸₹₺₻₼₾₿"
ONLY_BEFORE = "§%="

WHOLE = """
    a. b. c. d. e. f. g. h. i. j. k. l. m. n. o. p. q. r. s. t. u. v. w. x. y. z. a.m. p.m. e.g. i.e. E.g. I.e. v.s.
    vs. co. and/or w/o C++ 's 'S 'd 're 'll 'em '' Mr. Mrs. Ms. Messrs. Dr. Prof. Rev. Gen. Gov. Sen. Rep. Adm. Jr. St.
    Mt. Ph.D. Inc. Ltd. Corp. Co. Bros. Jan. Feb. Mar. Apr. Jun. Jul. Aug. Sep. Sept. Oct. Nov. Dec. D.C. N.C. N.D. N.H.
    N.J. N.M. N.Y. S.C. E.G. I.E. Ak. Ala. Ariz. Ark. Calif. Colo. Conn. Del. Fla. Ga. Ia. Id. Ill. Ind. Kan. Kans. Ky.
    La. Mass. Md. Mich. Minn. Miss. Mo. Mont. Neb. Nebr. Nev. Okla. Ore. Pa. Tenn. Va. Wash. Wis.
"""
THREE_AND_THE_REST = "cannot gonna gotta"
BEFORE_NOT = """
    ai are ca could did does do had has have is might must need ought sha should was were wo would may dare
"""
PRONOUNS = "i you he she it we they who what where when why how there that this these those"
MODALS = "could would should might must"
UNITS = "km m dm cm mm ha nm yd in ft kg g mg t lb oz kmh mph hPa Pa mbar mb MB kb KB gb GB tb TB T G M K"

Tables = tuple[
    npt.NDArray[np.uint16],
    npt.NDArray[np.int32],
    npt.NDArray[np.uint16],
    npt.NDArray[np.uint64],
    npt.NDArray[np.int64],
]


@lru_cache(maxsize=1)
def tables() -> Tables:
    """Roles of ASCII; code points beyond it with roles of their own, and these; words, ascending in each list.

    Words of at most eight ASCII characters are little-endian numbers. The last array holds the borders of the lists
    WHOLE, THREE_AND_THE_REST, BEFORE_NOT, PRONOUNS, MODALS, UNITS.
    """
    own: dict[int, int] = {}
    for characters, role in (
        (PUNCTUATION, CUT),
        (CURRENCIES, OPENS | CURRENCY),
        (ONLY_BEFORE, OPENS),
        (QUOTES, QUOTE),
    ):
        for character in characters:
            own[ord(character)] = own.get(ord(character), 0) | role
    ascii_roles = np.zeros(128, np.uint16)
    for byte in range(128):
        ascii_roles[byte] = own.get(byte, 0) | role_of_category(class_of(byte) >> CATEGORY_SHIFT)
        if 48 <= byte < 58:
            ascii_roles[byte] |= DIGIT
    beyond = sorted(point for point in own if point > 127)
    lists = (WHOLE, THREE_AND_THE_REST, BEFORE_NOT, PRONOUNS, MODALS, UNITS)
    words = [sorted(int.from_bytes(word.encode(), "little") for word in each.split()) for each in lists]
    return (
        ascii_roles,
        np.array(beyond, np.int32),
        np.array([own[point] for point in beyond], np.uint16),
        np.array([word for each in words for word in each], np.uint64),
        np.cumsum([0, *map(len, words)], dtype=np.int64),
    )
