"""Sentences of many languages: a bar parts them in the cases."""

from __future__ import annotations

import pytest

from memoria.io.units import split

CASES = {
    "English": [
        "Dr. Smith met J. K. Lee. | He left.",
        "The U.S. Army won. | No. | I won't.",
        "It was 5. | Then he left. | See Fig. 3 and e.g. this. | Good.",
        "John Smith Sr. | He left at 5 p.m. | Then ran.",
        '"Really?" she asked. | "Yes." | He sat.',
        "He likes plan B. Then he left.",
        "In 1999. | Then he was 30. | He left.",
        "Wow!! | Really?! | Yes…  | Then no.",
        "i have 5. | she is 30. | and it was fun.",
        "It cost $3.50. | See example.com/a.b now. | Done.",
        "Elizabeth II. | The queen. | King Charles III was there.",
        "(He left.) | She stayed. | [Note.] | End.",
    ],
    "German": [
        "Am 3. Mai kam er z. B. mit Dr. Meier. | Die 2. Auflage ist da.",
        "Er wurde 5. | Danach ging er. | Sie ist 30. | Ihre Mutter auch.",
        "Ludwig XIV. war der König. | Das ist d. h. gut.",
        "Es gibt Äpfel, Birnen usw. | Dann kam er am 24. Dezember.",
        "Die Nr. 5 bzw. die Nr. 6 ist es. | Vgl. Abb. 3 auf der Seite.",
        "„Ja.“ | Er ging. | »Nein.« | Sie blieb. | „Ja!“ sagte er.",
        "Im 19. Jahrhundert war das so. | Es kostet ca. 3 Mio. Euro.",
    ],
    "French": [
        "M. Dupont est là. | Il dit « Oui. » | Puis il part.",
        "« Oui ! » dit-il. | Mme Curie, etc. | Voilà.",
    ],
    "Spanish": [
        "El Sr. Pérez llegó. | ¿Qué tal? | ¡Bien!",
        "La Sra. López y el Dr. Gil. | Están en la pág. 5.",
    ],
    "Italian": ["Il sig. Rossi è qui. | Pane, vino ecc. | Poi basta."],
    "Dutch": ["Dhr. Jansen is er, bijv. vandaag. | Ja."],
    "Polish": ["Np. prof. Nowak mieszka na ul. Długiej. | Tak."],
    "Russian": [
        "В 1999 г. он уехал. | Это т. е. хорошо. | Он жил на ул. Ленина.",
        "Хлеб, мёд и т. д. | Он пришёл. | Это было в 1999 г. | Потом он уехал.",
        "Это я. | Он А. С. Пушкин. | Живёт в г. Москве.",
        "Стоит 5 тыс. руб. в год. | Это было в 5 в. до н. э. | Потом нет.",
    ],
    "Czech": ["Přišel 3. května, např. ráno. | Ano."],
    "Chinese": [
        "蜜蜂在花上飞。| 它们做蜜！| 好吗？| “好。” | 他说。",
        "好吗?| 好!| 走吧。",
        "你好。| 世界！| 是吗？| 「好。」| 完",
    ],
    "Japanese": ["蜂が飛ぶ。| 「甘い。」と彼は言った。| はい！| 『本当？』| うん。"],
    "Korean": ["네. | 벌이 날아간다. | 꿀은 달다! | 정말? | 응."],
    "Hindi": [
        "मधुमक्खी बैठी है। | वह शहद बनाती है। | शहद मीठा है।",
        "डॉ. शर्मा आए। | क्यों? | पता नहीं।",
    ],
    "Bengali": ["মৌমাছি উড়ে।| সে মধু বানায়। | মধু মিষ্টি।"],
    "Marathi": ["मधमाशी उडते. | ती मध बनवते. | मध गोड आहे."],
    "Arabic": ["أين النحل؟ | هل العسل حلو؟ | نعم هو حلو", "جاء د. أحمد. | ثم ذهب."],
    "Urdu": ["شہد میٹھا ہے۔ | مکھی اڑتی ہے۔ | وہ دور ہے۔"],
    "Persian": ["زنبور کجاست؟ | عسل شیرین است. | بله!"],
    "Hebrew": ["הדבורה עפה. | הדבש מתוק! | נכון?"],
    "Armenian": ["Մեղուն թռչում է։ | Մեղրը քաղցր է։ | Այո։",
                 "Մեղուն թռչում է: | Մեղրը քաղցր է: | Այո:"],
    "Amharic": ["ንቦች ማር ይሠራሉ። | ማር ጣፋጭ ነው። | አዎ።", "ንቦች ማር ይሠራሉ፡፡ | ማር ጣፋጭ ነው፧ | አዎ።"],
    "Burmese": ["ပျားများသည်။ | ချိုသည်။ | ဟုတ်သည်။"],
    "Khmer": ["ឃ្មុំហើរ។ | វាធ្វើទឹកឃ្មុំ។ | បាទ។"],
    "Greek": ["Πού είναι η μέλισσα; | Πετάει\u037e | Ναι. | Π.χ. το μέλι."],
    "Georgian": ["ფუტკარი დაფრინავს. | თაფლი ტკბილია. | დიახ!"],
    "Thai": [
        "ผึ้งบินไปที่ดอกไม้สีแดง | มันทำน้ำผึ้งทุกวันในรัง | น้ำผึ้งหวานมากจริงๆ",
        "ดร. สมชายมาถึงแล้ว",
        "ผึ้งบินไปที่ดอกไม้สีแดง และทำน้ำผึ้งทุกวันในรัง",
    ],
    "Tibetan": ["སྦྲང་མ་འཕུར། | སྦྲང་རྩི་མངར།"],
}  # fmt: skip
FLAT = [(language, case) for language, cases in CASES.items() for case in cases]


@pytest.mark.parametrize(("language", "case"), FLAT)
def test_sentences_of_many_languages(language: str, case: str) -> None:
    expected = [part.strip() for part in case.split("|")]
    text = case.replace(" | ", " ").replace("| ", "")
    assert [unit.text for unit in split(text, "sentence")] == expected
