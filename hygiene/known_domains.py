"""Domains of mailbox providers, ours by hand: what a typo is measured against, and what is never taken for one."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

# fmt: off
TYPO_TARGETS: Final[tuple[str, ...]] = (
    "gmail.com", "walla.co.il", "hotmail.com", "yahoo.com", "outlook.com", "icloud.com", "walla.com",
    "netvision.net.il", "bezeqint.net", "zahav.net.il", "barak.net.il", "smile.net.il", "inter.net.il",
    "actcom.co.il", "nana10.co.il", "googlemail.com", "protonmail.com", "rocketmail.com", "fastmail.com",
    "yahoo.co.uk", "hotmail.co.uk", "comcast.net", "verizon.net", "sbcglobal.net", "bellsouth.net", "btinternet.com",
    "yandex.ru", "orange.fr", "wanadoo.fr", "libero.it", "t-online.de",
)
"""What people mean most often, the commonest first. Only names of five letters or more before the first dot: a single
wrong key in a shorter one makes another company's name too easily."""

KNOWN_DOMAINS: Final[frozenset[str]] = frozenset({
    *TYPO_TARGETS,
    # Israel
    "012.net.il", "012net.co.il", "013.net", "013.net.il", "013net.net", "013barak.net.il", "014.net.il", "015.net.il",
    "018.net.il", "019.net.il", "netvision.co.il", "bezeqint.co.il", "isdn.net.il", "shani.net", "nana.co.il",
    "orange.co.il", "orange.net.il", "hot.net.il", "hotmail.co.il", "internet-zahav.net", "partner.net.il",
    "live.co.il", "outlook.co.il", "yahoo.co.il", "walla.net.il", "kipa.co.il", "neto.net.il", "xfone.net.il",
    "post.tau.ac.il", "mail.tau.ac.il", "tauex.tau.ac.il", "mail.huji.ac.il", "technion.ac.il", "campus.technion.ac.il",
    "post.bgu.ac.il", "bgu.ac.il", "biu.ac.il", "live.biu.ac.il", "weizmann.ac.il", "campus.haifa.ac.il",
    # One letter from a provider's name, and somebody else's
    "mail.com", "email.com", "ymail.com", "inbox.com", "fastmail.fm", "gmx.com", "cloud.com", "wall.com",
    # The world
    "live.com", "msn.com", "aol.com", "me.com", "mac.com", "mail.ru", "bk.ru", "inbox.ru", "list.ru", "rambler.ru",
    "ya.ru", "yandex.com", "yandex.ua", "yandex.by", "yandex.kz", "ukr.net", "i.ua", "proton.me", "pm.me",
    "protonmail.ch", "tutanota.com", "tuta.io", "gmx.de", "gmx.net", "gmx.at", "gmx.ch", "gmx.us", "web.de",
    "freenet.de", "arcor.de", "posteo.de", "mailbox.org", "zoho.com", "zohomail.com", "hey.com", "duck.com", "love.com",
    "free.fr", "sfr.fr", "laposte.net", "neuf.fr", "virgilio.it", "tiscali.it", "alice.it", "tin.it", "wp.pl", "o2.pl",
    "onet.pl", "interia.pl", "seznam.cz", "centrum.cz", "uol.com.br", "bol.com.br", "terra.com.br", "ig.com.br",
    "qq.com", "foxmail.com", "163.com", "126.com", "sina.com", "sohu.com", "naver.com", "daum.net", "hanmail.net",
    "rediffmail.com", "att.net", "cox.net", "charter.net", "earthlink.net", "juno.com", "optonline.net", "ntlworld.com",
    "sky.com", "talktalk.net", "virginmedia.com", "blueyonder.co.uk", "bigpond.com", "xtra.co.nz", "shaw.ca",
    "rogers.com", "sympatico.ca", "telus.net", "skynet.be", "telenet.be", "ziggo.nl", "kpnmail.nl", "planet.nl",
    "bluewin.ch", "mail.de", "email.de", "hushmail.com", "runbox.com", "lycos.com", "excite.com", "windowslive.com",
    "passport.com", "aim.com", "verizon.com", "comcast.com", "privaterelay.appleid.com", "mozmail.com",
    *(f"yahoo.{top}" for top in (
        "ca", "cn", "de", "dk", "es", "fr", "gr", "ie", "in", "it", "no", "pl", "ro", "se",
        "co.id", "co.in", "co.jp", "co.kr", "co.nz", "co.th", "co.za", "com.ar", "com.au", "com.br", "com.cn",
        "com.hk", "com.mx", "com.my", "com.ph", "com.sg", "com.tr", "com.tw", "com.vn",
    )),
    *(f"hotmail.{top}" for top in (
        "be", "ca", "ch", "cl", "co.jp", "co.nz", "co.th", "co.za", "com.ar", "com.au", "com.br", "com.tr", "cz", "de",
        "dk", "es", "fi", "fr", "gr", "it", "nl", "no", "se", "sg",
    )),
    *(f"outlook.{top}" for top in (
        "at", "be", "cl", "co.id", "co.th", "com.ar", "com.au", "com.br", "com.gr", "com.tr", "com.vn", "cz", "de",
        "dk", "es", "fr", "hu", "ie", "in", "it", "jp", "kr", "lv", "my", "ph", "pt", "sa", "sg", "sk",
    )),
    *(f"live.{top}" for top in (
        "at", "be", "ca", "cl", "cn", "co.uk", "co.za", "com.ar", "com.au", "com.mx", "de", "dk", "fr", "ie", "in",
        "it", "jp", "nl", "no", "ru", "se",
    )),
})
"""Domains that exist, nearly all of them with mailboxes for everybody: never suggested away."""

ASCII_ONLY_PROVIDERS: Final[frozenset[str]] = frozenset({
    "gmail.com", "googlemail.com", "hotmail.com", "outlook.com", "live.com", "msn.com", "yahoo.com", "ymail.com",
    "icloud.com", "me.com", "mac.com", "aol.com", "walla.co.il", "walla.com", "netvision.net.il", "bezeqint.net",
    "012.net.il", "zahav.net.il",
})
"""Providers whose own mailboxes have ASCII names, so that Hebrew letters before the @ are the wrong layout."""

# Names that are often written after a provider that has one domain only.
WRONG_DOMAINS: Final[Mapping[str, str]] = MappingProxyType({
    **{f"gmail.{top}": "gmail.com" for top in ("co.il", "il", "net", "org", "net.il", "co.uk", "co", "cm", "om")},
    **{f"gmail{rest}": "gmail.com" for rest in ("", ".com.il", ".com.com", ".comcom", ".comil")},
    "icloud.co.il": "icloud.com", "icloud": "icloud.com", "hotmail": "hotmail.com", "outlook": "outlook.com",
    "yahoo": "yahoo.com", "walla": "walla.co.il", "walla.il": "walla.co.il", "walla.co": "walla.co.il",
    "netvision": "netvision.net.il", "netvision.net": "netvision.net.il", "netvision.il": "netvision.net.il",
    "zahav.net": "zahav.net.il", "zahav.il": "zahav.net.il", "zahav.co.il": "zahav.net.il",
    "012.net": "012.net.il", "012.co.il": "012.net.il", "012.il": "012.net.il", "bezeqint.net.il": "bezeqint.net",
    "bezeqint.com": "bezeqint.net", "bezeqint.il": "bezeqint.net", "bezek.net": "bezeqint.net",
    "bezekint.net": "bezeqint.net", "bezeqint": "bezeqint.net",
})

# Endings under which nobody can have a domain (no such top-level domain), and Liechtenstein's li behind a second
# level that only Israel has.
WRONG_ENDINGS: Final[Mapping[str, str]] = MappingProxyType({
    **dict.fromkeys(
        ("con", "cmo", "ocm", "vom", "xom", "cpm", "coom", "comm", "ccom", "c0m", "cim", "clm", "ckm", "comn", "conm",
         "cok", "cop", "dom", "fom", "som", "co.m", "coml", "comj", "cxom", "cvom"), "com"),
    **dict.fromkeys(("nte", "ent", "met", "nett", "neet", "ner", "nrt", "nwt"), "net"),
    **dict.fromkeys(("ogr", "rog", "orgg", "prg", "orh", "orf"), "org"),
    **dict.fromkeys(
        ("co.li", "co.ill", "co.iil", "co.ik", "co.ul", "co.ol", "co.ll", "co.ilk", "co.ila", "co.lil", "co.i", "co.l",
         "coil", "vo.il", "xo.il", "cp.il", "ci.il", "cco.il", "coo.il", "c.il", "co.il.il", "co.ilil"), "co.il"),
    **{f"{second}.li": f"{second}.il" for second in ("net", "org", "ac", "gov", "muni", "k12", "idf")},
    **{f"{second}.ill": f"{second}.il" for second in ("net", "org", "ac", "gov", "muni", "k12", "idf")},
})
# fmt: on
