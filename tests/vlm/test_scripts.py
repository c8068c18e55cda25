"""Answers that fall into another language are known by their letters."""

from __future__ import annotations

import pytest

from juicecap.vlm.scripts import mixes_scripts


@pytest.mark.parametrize(
    "text",
    [
        "A red ball rolls 在草地上 slowly.",
        "一个红色的球 rolls down 草地。",
        "Красный мяч rolls over the траву.",
        "A man walks по улице.",
        "一个男人在走路。그는 빨리 달린다.",
        "รถสีแดงวิ่งไปตาม the road quickly",
    ],
)
def test_mixed(text):
    assert mixes_scripts(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "🎉",
        "A red ball rolls.",
        "A café, naïve façade, “très jolie”.",
        "A shop sign reads “欢迎光临我们的店”.",
        "A shop sign reads '欢迎光临我们的店' above the door.",
        "The calligraphy 「上善若水厚德载物」 hangs on a wall.",
        "The Great Wall (万里长城在北京) at dawn.",
        "A poster of 《霸王别姬电影》 hangs in the hall.",
        "A man, 李明, walks along a river in the morning.",
        "一个穿着T恤的男人拿着iPhone\uff0c旁边是NASA的标志。",
        "一个男人在街上走\uff0c屏幕上显示“hello my dear friends”。",
        "一个年轻的女人在厨房里录制她的vlog\uff0c桌上放着蔬菜和水果\uff0c她微笑着看向镜头\uff0c窗外是城市的夜景。",
        "Машина BMW едет по улице Berlin Hauptbahnhof.",
        "「こんにちは」と書かれた看板の前に、男性が立っている。",
        "Angles β, Ω and Δ of a triangle.",
        '{"caption": "一个红球在草地上"}',
    ],
)
def test_not_mixed(text):
    assert not mixes_scripts(text)


def test_a_few_words_in_a_long_text_are_no_mixture():
    foreign = "在草地上"
    assert mixes_scripts("The ball rolls. " * 5 + foreign)
    assert not mixes_scripts("The ball rolls. " * 10 + foreign)
