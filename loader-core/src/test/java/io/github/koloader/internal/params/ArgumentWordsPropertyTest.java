package io.github.koloader.internal.params;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayList;
import java.util.List;
import net.jqwik.api.Arbitraries;
import net.jqwik.api.Arbitrary;
import net.jqwik.api.Combinators;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.Provide;
import net.jqwik.api.constraints.CharRange;
import net.jqwik.api.constraints.StringLength;

final class ArgumentWordsPropertyTest {
    private record Word(String name, String value) {
        String quoted() {
            return name + "=\"" + value + '"';
        }

        String quotedWhole() {
            return '"' + name + '=' + value + '"';
        }
    }

    @Provide
    Arbitrary<List<Word>> words() {
        Arbitrary<String> names =
                Arbitraries.strings().withChars("abz_-.09").ofMinLength(1).ofMaxLength(8);
        Arbitrary<String> values = Arbitraries.strings().withChars("ab =,;\t-'0").ofMaxLength(12);
        return Combinators.combine(names, values).as(Word::new).list().ofMaxSize(8);
    }

    @Property
    void quotedWordsThatAreJoinedAreSplitAgain(@ForAll("words") List<Word> words) {
        List<String> expected = new ArrayList<>();
        List<String> oneWay = new ArrayList<>();
        List<String> otherWay = new ArrayList<>();
        for (Word word : words) {
            expected.add(word.name() + ">" + word.value());
            oneWay.add(word.quoted());
            otherWay.add(word.quotedWhole());
        }
        assertThat(ArgumentWordsTest.split(String.join(" ", oneWay))).isEqualTo(expected);
        assertThat(ArgumentWordsTest.split(String.join("\n ", otherWay))).isEqualTo(expected);
    }

    @Property
    void everyTextIsSplitIntoWordsThatAreInIt(
            @ForAll @CharRange(from = '\0', to = '\u00ff') @StringLength(max = 60) String text) {
        String read = (text + '\0').substring(0, (text + '\0').indexOf(0)).replace('>', ')');
        int taken = 0;
        for (String word : ArgumentWordsTest.split(read)) {
            taken += word.length();
            for (String part : word.split(">", 2)) {
                assertThat(read).contains(part);
            }
        }
        assertThat(taken).isLessThanOrEqualTo(read.length());
        assertThat(ArgumentWordsTest.split(read + "\0a=1"))
                .isEqualTo(ArgumentWordsTest.split(read));
    }

    @Property
    void blanksAndQuotesAloneMakeNoValues(
            @ForAll @StringLength(max = 30) @net.jqwik.api.constraints.Chars({' ', '"', 'a'})
                    String text) {
        assertThat(ArgumentWordsTest.split(text)).noneMatch(word -> word.contains(">"));
    }
}
