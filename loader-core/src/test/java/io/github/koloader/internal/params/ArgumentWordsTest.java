package io.github.koloader.internal.params;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

final class ArgumentWordsTest {
    /** Words as {@code name>value}, or {@code name} alone. */
    static List<String> split(String text) {
        TextBuffer buffer = TextBuffer.of(text);
        ArgumentWords words = new ArgumentWords(buffer);
        List<String> found = new ArrayList<>();
        while (words.hasMore()) {
            words.next();
            String value = buffer.textOrNull(words.value());
            found.add(buffer.text(words.name()) + (value == null ? "" : ">" + value));
        }
        return found;
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            quoteCharacter = '`',
            value = {
                "a=1 b=2|a>1,b>2",
                "a|a",
                "a=|a>",
                "=a|=a",
                "=a=b|=a>b",
                "a=b=c|a>b=c",
                "a=\"b c\" d|a>b c,d",
                "\"a=b c\" d|a>b c,d",
                "\"a b\"=c|a b\">c",
                "a=x\"y z\"|a>x\"y z\"",
                "a=\"x\"b|a>x\"b",
                "a=\"open b=1|a>open b=1",
                "\"open b|open b",
                "\"|``",
                "\"\"|``",
                "a=\"|a>",
                "a=\"\"|a>",
                "a = 1|a,=,1",
                "a=1,2 --|a>1,2,--",
                "\"a=\"b c\"\"|a>b,c\"\"",
            })
    void aLineIsSplit(String text, String words) {
        assertThat(String.join(",", split(text))).isEqualTo(words);
    }

    @Test
    void blanksOfEveryKindSeparate() {
        assertThat(split(" \t\n\u000b\f\ra\u00a0b \u0085c ")).containsExactly("a", "b", "\u0085c");
    }

    @Test
    void nothingFollowsANul() {
        assertThat(split("a b\0c")).containsExactly("a", "b");
        assertThat(split("")).isEmpty();
        assertThat(split("  ")).isEmpty();
    }

    @Test
    void theRestBeginsBehindTheBlanks() {
        TextBuffer buffer = TextBuffer.of("a  b=1 c ");
        ArgumentWords words = new ArgumentWords(buffer);
        words.next();
        assertThat(buffer.text(words.rest())).isEqualTo("b=1 c ");
    }
}
