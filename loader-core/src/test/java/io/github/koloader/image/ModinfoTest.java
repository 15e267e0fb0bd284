package io.github.koloader.image;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.charset.StandardCharsets;
import org.junit.jupiter.api.Test;

final class ModinfoTest {
    private static Modinfo modinfo(String text) {
        return new Modinfo(Bytes.copyOf(text.getBytes(StandardCharsets.ISO_8859_1)));
    }

    @Test
    void firstIsTheValueBehindTheTag() {
        assertThat(modinfo("license=GPL\0name=hello\0").first("name")).contains("hello");
    }

    @Test
    void aTagThatIsNotThereHasNoValue() {
        assertThat(modinfo("license=GPL\0").first("author")).isEmpty();
        assertThat(modinfo("license=GPL\0").has("author")).isFalse();
        assertThat(Modinfo.EMPTY.first("license")).isEmpty();
    }

    @Test
    void aLongerTagIsAnotherTag() {
        assertThat(modinfo("licensed=yes\0license=GPL\0").first("license")).contains("GPL");
    }

    @Test
    void aTagInsideAValueIsNotFound() {
        assertThat(modinfo("x=license=MIT\0").first("license")).isEmpty();
    }

    @Test
    void aTagWithoutEqualsSignIsNotFound() {
        assertThat(modinfo("license\0intree=Y\0").has("license")).isFalse();
    }

    @Test
    void repeatedTagsKeepTheirOrder() {
        assertThat(modinfo("alias=b\0x=1\0alias=a\0alias=b\0").all("alias"))
                .containsExactly("b", "a", "b");
    }

    @Test
    void leadingNulsAreSteppedOver() {
        assertThat(modinfo("\0\0name=x\0").first("name")).contains("x");
    }

    @Test
    void severalNulsBetweenEntriesAreSteppedOver() {
        assertThat(modinfo("a=1\0\0\0b=2\0").first("b")).contains("2");
    }

    @Test
    void theLastStringMayLackItsNul() {
        assertThat(modinfo("a=1\0name=hello").first("name")).contains("hello");
    }

    @Test
    void anEntryOfOneByteAtTheEndIsNotReachedAsInTheKernel() {
        assertThat(modinfo("a=1\0b").entries()).extracting(Modinfo.Entry::tag).containsExactly("a");
    }

    @Test
    void anEmptyValueIsThere() {
        assertThat(modinfo("version=\0a=1\0").first("version")).contains("");
    }

    @Test
    void anEmptyValueAtTheVeryEndIsThere() {
        assertThat(modinfo("version=").first("version")).contains("");
    }

    @Test
    void valuesMayHoldEqualsSigns() {
        assertThat(modinfo("parm=a=b:text\0").first("parm")).contains("a=b:text");
    }

    @Test
    void utf8IsDecoded() {
        assertThat(
                        new Modinfo(
                                        Bytes.copyOf(
                                                "author=J\u00fcrgen\0"
                                                        .getBytes(StandardCharsets.UTF_8)))
                                .first("author"))
                .contains("J\u00fcrgen");
    }

    @Test
    void invalidUtf8IsDecodedAsLatin1() {
        assertThat(modinfo("author=J\u00fcrgen\0").first("author")).contains("J\u00fcrgen");
    }

    @Test
    void rawValuesHaveOneCharacterAByte() {
        assertThat(
                        new Modinfo(Bytes.copyOf("a=\u00fc\0".getBytes(StandardCharsets.UTF_8)))
                                .firstRaw("a"))
                .contains("\u00c3\u00bc");
    }

    @Test
    void entriesAreThoseOfTheSectionInItsOrder() {
        assertThat(modinfo("\0b=2\0flag\0a=1\0").entries())
                .extracting(Modinfo.Entry::tag, Modinfo.Entry::text)
                .containsExactly(
                        org.assertj.core.groups.Tuple.tuple("b", "2"),
                        org.assertj.core.groups.Tuple.tuple("flag", ""),
                        org.assertj.core.groups.Tuple.tuple("a", "1"));
    }

    @Test
    void equalityIsThatOfTheBytes() {
        assertThat(modinfo("a=1\0"))
                .isEqualTo(modinfo("a=1\0"))
                .hasSameHashCodeAs(modinfo("a=1\0"));
        assertThat(modinfo("a=1\0")).isNotEqualTo(modinfo("a=2\0"));
    }
}
