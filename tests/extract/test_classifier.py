"""The shipped classifier on small pages by hand, in several languages and scripts."""

from __future__ import annotations

import io

import numpy as np
import pytest

from textmill.extract.classifier import Classifier
from textmill.extract.tree import PageParser

TEXTS = {
    "English": (
        "The mill stands where the river leaves the forest, and its wheel has turned for three hundred years. "
        "Farmers brought their grain in spring and in autumn, waited under the lime tree, and told each other news.",
        ["Home", "Products", "About us", "Contact", "Log in", "All rights reserved", "Privacy policy"],
    ),
    "Deutsch": (
        "Die Mühle steht dort, wo der Fluss den Wald verlässt, und ihr Rad dreht sich seit dreihundert Jahren. "
        "Bauern brachten im Frühjahr und im Herbst ihr Korn, warteten unter der Linde und erzählten sich Neues.",
        [
            "Startseite",
            "Produkte",
            "Über uns",
            "Kontakt",
            "Anmelden",
            "Alle Rechte vorbehalten",
            "Datenschutz",
        ],
    ),
    "Русский": (
        "Мельница стоит там, где река выходит из леса, и колесо её вертится уже триста лет. "
        "Крестьяне привозили зерно весной и осенью, ждали под липой и рассказывали друг другу новости.",
        ["Главная", "Товары", "О нас", "Контакты", "Войти", "Все права защищены", "Политика"],
    ),
    "العربية": (
        "تقف الطاحونة حيث يخرج النهر من الغابة، وعجلتها تدور منذ ثلاثمئة عام. "
        "كان الفلاحون يأتون بحبوبهم في الربيع والخريف، وينتظرون تحت الشجرة، ويتبادلون الأخبار.",
        ["الرئيسية", "المنتجات", "من نحن", "اتصل بنا", "دخول", "جميع الحقوق محفوظة", "الخصوصية"],
    ),
    "日本語": (
        "水車小屋は川が森を出るところに立ち、その車輪は三百年のあいだ回り続けてきました。"
        "農民たちは春と秋に穀物を運び、菩提樹の下で待ちながら、互いに近況を語り合いました。",
        ["ホーム", "製品", "会社概要", "お問い合わせ", "ログイン", "無断転載を禁じます", "個人情報"],
    ),
    "한국어": (
        "물레방앗간은 강이 숲을 벗어나는 곳에 서 있고, 그 바퀴는 삼백 년 동안 돌아 왔습니다. "
        "농부들은 봄과 가을에 곡식을 가져와 보리수 아래에서 기다리며 서로 소식을 나누었습니다.",
        ["홈", "제품", "회사 소개", "문의", "로그인", "모든 권리 보유", "개인정보"],
    ),
}
MARKUP = {
    "names": (
        "<nav class=menu>",
        "</nav>",
        '<div class="post-content">',
        "</div>",
        '<div class="footer">',
        "</div>",
    ),
    "landmarks": ("<nav>", "</nav>", "<main>", "</main>", "<footer>", "</footer>"),
    "plain": ("<div>", "</div>", "<div>", "</div>", "<div>", "</div>"),
}


def page_of(language: str, markup: str) -> tuple[str, str, list[str]]:
    text, labels = TEXTS[language]
    before, before_end, main, main_end, after, after_end = MARKUP[markup]
    menu = "".join(f"<li><a href=/{place}>{label}</a>" for place, label in enumerate(labels[:5]))
    paragraphs = "".join(f"<p>{text[: 5 * place]} {text}</p>" for place in range(6))
    end = "".join(f"<a href=/x{place}>{label}</a> | " for place, label in enumerate(labels[5:]))
    html = (
        f"<!doctype html><title>{labels[1]}</title>{before}<ul>{menu}</ul>{before_end}"
        f"{main}<h1>{labels[1]} {text.split()[0]}</h1>{paragraphs}{main_end}{after}{end}{after_end}"
    )
    return html, text, labels


@pytest.mark.parametrize("markup", MARKUP)
@pytest.mark.parametrize("language", TEXTS)
def test_keeps_the_text_and_drops_the_menu(language: str, markup: str) -> None:
    html, text, labels = page_of(language, markup)
    page = PageParser().parse(html.encode())
    kept = [page.block_text(b) for b in Classifier.shipped().keep(page).nonzero()[0].tolist()]
    assert sum(text in block for block in kept) >= 5
    assert not {labels[0], labels[2], labels[3], labels[4]} & set(kept)
    assert not any(labels[6] in block for block in kept)


@pytest.mark.parametrize("articles", [False, True])
def test_nothing_in_nothing(articles: bool) -> None:
    for html in (b"<p>", b"<title>Not found</title><h1>404</h1>", b"<nav><a href=/>Home</a></nav>"):
        page = PageParser().parse(html)
        assert not Classifier.shipped().keep(page, articles=articles).any()


def test_articles_keep_no_more() -> None:
    classifier = Classifier.shipped()
    page = PageParser().parse(page_of("English", "plain")[0].encode())
    kept, precise = classifier.keep(page), classifier.keep(page, articles=True)
    assert precise.any()
    assert not (precise & ~kept).any()


def test_probabilities_are_the_same_each_time() -> None:
    classifier = Classifier.shipped()
    page = PageParser().parse(page_of("English", "names")[0].encode())
    first = classifier.probabilities(page)
    assert first.dtype == np.float32
    assert ((first >= 0) & (first <= 1)).all()
    assert first.tobytes() == classifier.probabilities(page).tobytes()


def test_stored_numbers_come_back() -> None:
    classifier = Classifier.shipped()
    stored, again = io.BytesIO(), io.BytesIO()
    classifier.save(stored)
    stored.seek(0)
    loaded = Classifier.load(stored)
    page = PageParser().parse(page_of("Deutsch", "names")[0].encode())
    assert loaded.probabilities(page).tobytes() == classifier.probabilities(page).tobytes()
    loaded.save(again)
    assert again.getvalue() == stored.getvalue()
    assert len(stored.getvalue()) < 2_000_000


def test_the_address_of_a_page_is_a_sign_of_its_type() -> None:
    classifier = Classifier.shipped()
    page = PageParser().parse(b"<h1>Blue socks</h1><p>Warm socks of wool.")
    product = classifier.page_type.probabilities(page, "https://shop.example.org/products/blue-socks")
    thread = classifier.page_type.probabilities(page, "https://forum.example.org/t/blue-socks/12345")
    assert product.sum() == pytest.approx(1, abs=1e-5)
    assert product[5] > thread[5]
    assert thread[3] > product[3]
