package io.github.koloader.testkit;

import com.code_intelligence.jazzer.junit.FuzzTest;
import com.code_intelligence.jazzer.mutation.annotation.NotNull;
import com.code_intelligence.jazzer.mutation.annotation.WithSize;
import com.code_intelligence.jazzer.mutation.annotation.WithUtf8Length;
import io.github.koloader.image.ModuleImage;
import java.nio.charset.StandardCharsets;
import java.util.List;

/** Any parameters are taken or refused, by a module that has every kind of them, edited or not. */
class ParametersFuzzTest {
    /** A parameter of the fixture. New ones come last. */
    public enum Name {
        NONE(""),
        BYTE("p_byte"),
        SHORT("p_short"),
        USHORT("p_ushort"),
        INT("p_int"),
        UINT("p_uint"),
        LONG("p_long"),
        ULONG("p_ulong"),
        ULLONG("p_ullong"),
        HEXINT("p_hexint"),
        CHARP("p_charp"),
        BOOL("p_bool"),
        INVBOOL("p_invbool"),
        BINT("p_bint"),
        ENABLE_ONLY("p_enable_only"),
        RENAMED("p_named"),
        STRING("p_string"),
        ARRAY("p_array"),
        STRINGS("p_strs"),
        FIXED_ARRAY("p_fixed"),
        UNSAFE("p_unsafe"),
        HARDWARE("p_ioport"),
        NO_PERMISSIONS("p_noperm"),
        CALLBACK("p_cb"),
        FLAG("p_flag"),
        DYNDBG("dyndbg"),
        OF_ANOTHER("params.dyndbg"),
        ASYNC("async_probe"),
        UNKNOWN("unknown");

        final String text;

        Name(String text) {
            this.text = text;
        }
    }

    /** How a word of the line is written. New ones come last. */
    public enum Form {
        NAME_AND_TEXT,
        NAME_AND_NUMBER,
        NAME_AND_HEX,
        NAME_ALONE,
        TEXT_ALONE,
        QUOTED_VALUE,
        QUOTED_WORD,
        LIST,
        DASHES
    }

    /** A word. */
    public record Word(
            @NotNull Name name,
            @NotNull Form form,
            long number,
            @NotNull @WithUtf8Length(max = 24) String text,
            byte blanks) {
        @Override
        public String toString() {
            String word =
                    switch (form) {
                        case NAME_AND_TEXT -> name.text + "=" + text;
                        case NAME_AND_NUMBER -> name.text + "=" + number;
                        case NAME_AND_HEX -> name.text + "=0x" + Long.toHexString(number);
                        case NAME_ALONE -> name.text;
                        case TEXT_ALONE -> text;
                        case QUOTED_VALUE -> name.text + "=\"" + text + "\"";
                        case QUOTED_WORD -> "\"" + name.text + "=" + text + "\"";
                        case LIST -> name.text + "=" + number + "," + text + "," + (byte) number;
                        case DASHES -> name.text.replace('_', '-') + "=" + text;
                    };
            return (blanks > 0 ? " ".repeat(blanks % 4) : blanks % 3 == 0 ? "\t" : "\n") + word;
        }
    }

    @FuzzTest
    void parametersAreTakenOrRefusedAndLeaveNothingBehind(
            Seed.@NotNull Tree tree,
            @NotNull @WithSize(max = 16) List<@NotNull Word> words,
            @NotNull @WithUtf8Length(max = 32) String end,
            @NotNull @WithSize(max = 4) List<@NotNull FileEdit> edits,
            @NotNull FuzzedKernel kernel) {
        Seed seed = new Seed(tree, Seed.Fixture.PARAMS);
        ModuleImage original = seed.image();
        byte[] file = seed.bytes();
        for (FileEdit edit : edits) {
            file = edit.apply(file, original);
        }
        StringBuilder line = new StringBuilder();
        words.forEach(line::append);
        String parameters =
                new String(
                        line.append(end).toString().getBytes(StandardCharsets.UTF_8),
                        StandardCharsets.ISO_8859_1);
        Cost cost = new Cost();
        kernel.load(file, parameters, tree.architecture, tree);
        cost.check();
    }
}
