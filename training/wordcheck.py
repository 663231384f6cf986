"""Which words are slurs: a list made for this project, kept as hashes so that the words themselves stand nowhere in it.

Some ninety English slurs and swear words, most against people for origin, skin, religion, sex or mind, and their
plurals. Words whose ordinary sense is the more common one are left out, so the check misses them; of those on the list
some name an animal or a thing as well, so each find must be read in its sentence. It reads words, not sense.
"""

from __future__ import annotations

import hashlib
import re

SHORTENED = 12  # hexadecimal digits kept of each hash
HASHES = frozenset(
    """
005859e9503c 0058beda64c0 044eb98b1876 0515b9e67e0e 05d870b3897a 08728a39b5c6 0875f8f6a0c5 08a841e99678 093b7636b24a
09616d58d55b 0a1305acad02 0bd965aa6f6c 0be9b885f4a3 0ce875d62007 0dcc4d336443 118418653f4d 11cf8376a157 11eafc331bc6
11ee63a73ffe 120f6e5b4ea3 1290d04b901d 12e6274e4309 1507c6e6850a 158869a97379 16ea09fc78ca 171ee4d3a3e3 17a110e53328
17bde8b40646 1802d081455e 1c4bfd100aa9 1c6bacc444d7 1e02eec4f109 22fc75e65a0e 2582739e6bb4 267463e5e36c 268651b3ece9
27a62b68179c 27eb0c4ad707 2a6937d721b1 2d84fef55bc7 2f62eb857b87 310ee9ff44f7 31506a8448a7 3175bf063867 31ebe936cd1c
333f76180929 33740da8a87d 341d56384afc 358e01df75c7 35d7ccc6773c 37616f446672 382ee2789db0 3af112eacdb7 3b1e0d7c5dd4
3cb6a563b3b2 3cc0a581d3bb 3d3885c5cc21 3eed6d8f9ba4 3ff994714803 402f7ebd9886 43508b5c03b8 448b303c89be 457f002f9240
45cd3e1bb472 45fb7c3b72b6 46505206c396 469c0fdb6020 4753d01249c1 487d2deb0bd7 49764bce30ef 4bfae123d170 4c58f5d5fe92
4d4a5cbef6cd 4efce9364fe2 5103639ecfe5 513f372f7389 517ae3f73216 522788b65f01 565ed74643e0 566f532d486c 56d9e1f65737
5a9d9dcefb56 5b3ae48be122 60a2bd4c34b9 6122fdf4ae14 619bc82e0d20 622cff82a55b 63333e4b5d1c 6628813cefce 6682329d991b
684a154964ca 6939937b0ac6 6ac3c336e409 6b571f65fa6f 6cfcdedf5407 6d1833779e38 701033ae2641 70aafb426695 70e4043b678f
7122c9a14ba2 74fad891ce4d 7665769cd919 79669e5212fa 7c28a8e09b8f 7dc7079a7cee 82159dd02870 83dd8e733b1e 85580f904474
85fc17f7069a 864316e76119 886d51e97ad7 8ae667fa85ed 8c6f7be1c94a 8ea8c8424005 8edb6c9becf5 8f5083e3e5c7 9059c1e10857
92a9bf818e7e 937d56e49744 94a877e2ce63 94c6d2e10a76 98b52c4b6b7d 9915ba2d8222 9ae315a94e42 9d454fb8d72a 9d57436661e1
9ee4d2748732 a2fa402bd03b a3e996b05f09 a40ccba874d2 a4d7510f2ea2 a7847e36277d a7bf072c97a0 a9ffceafa135 acc96930e3a6
ad412adb493d ad64e56f214e ad6cacf3af98 b11aa5532465 b15f4a2183aa b3cec2f6ece2 b829beb00d8b ba5933113125 bb209d506bb8
bb61ef40814c bb87adf8aa78 bbcd2f1eb118 bbf8bb786317 bc87631998ab bd331fb1d242 be00f1af522e c10da7b2b139 c1b4ed05397d
c1cabb6f6e43 c22f315f1b33 c2c3b68b4883 c3de533e9b7f c4cb1708d732 c709d1a28781 c70e3e7c47f0 c74677aba35a c905e73dd427
ca8aca2ceb3c cc02032349c8 cc81b23d0e4f ce20df725915 cf09677cbee2 d00a3db7315a d0e3cb91d249 d1b2dec28ad0 d284d1cb239c
d6320c808358 d75a838dc758 d7cc7ecc7ef0 d873147a3546 da0a6b1b9213 da8843926277 daec0c235d31 dc675e448132 e4df1b8c5eef
e583aaf2aba4 e793d67686f2 e7b98c6aa5b9 eda887476f1d ee5a869b5ace eea2991640d1 eef3bd091670 ef6e97ba7fa9 f0a67995cb34
f0b59bcaa856 f59e28f8bb64 f64c6fad9c3c f77fd8df7a3b f9d0d9b18ae9 fa1597ae5dc4 fb515899fe15 fd70ad909b94 feacadec2ce7
""".split()
)


def is_slur(word: str) -> bool:
    """Whether a word, in any case, is on the list."""
    return hashlib.sha256(word.lower().encode()).hexdigest()[:SHORTENED] in HASHES


def slurs(text: str) -> list[str]:
    """The words of a text that are on the list."""
    return [word for word in re.findall("[A-Za-z]+", text) if is_slur(word)]
