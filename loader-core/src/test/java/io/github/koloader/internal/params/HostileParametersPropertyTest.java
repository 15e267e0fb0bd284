package io.github.koloader.internal.params;

import static org.assertj.core.api.Assertions.assertThat;

import io.github.koloader.Images;
import io.github.koloader.Kernel;
import io.github.koloader.LoadException;
import io.github.koloader.Module;
import io.github.koloader.ModuleParameter;
import io.github.koloader.ParameterModule;
import io.github.koloader.image.Bytes;
import io.github.koloader.image.Encoding;
import io.github.koloader.image.ModuleImage;
import io.github.koloader.memory.Region;
import java.util.List;
import java.util.Random;
import net.jqwik.api.Arbitraries;
import net.jqwik.api.Arbitrary;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.Provide;
import net.jqwik.api.constraints.CharRange;
import net.jqwik.api.constraints.IntRange;
import net.jqwik.api.constraints.StringLength;

/** Whatever a table and its arguments say, the load ends well, and nothing is left of it. */
final class HostileParametersPropertyTest {
    private static final List<Encoding> ENCODINGS =
            List.of(Encoding.ELF64_LSB, Encoding.ELF64_MSB, Encoding.ELF32_LSB, Encoding.ELF32_MSB);

    private static ParameterModule all(Encoding encoding) {
        return new ParameterModule(encoding, Images.quiet6_1())
                .standard("i", "int")
                .standard("c", "charp")
                .standard("b", "bool")
                .string("s", 8)
                .array("a", "int", 4, 4, true)
                .array("t", "charp", 3, encoding.wordSize(), true)
                .callbackArray("d", 3, 4)
                .callback("k", 1, "set_k", "get_k", "free_k")
                .callback("m", 1, "param_set_charp", "param_get_charp", "param_free_charp");
    }

    @Provide
    Arbitrary<String> arguments() {
        Arbitrary<String> names = Arbitraries.of("i", "c", "b", "s", "a", "t", "d", "k", "m", "x");
        Arbitrary<String> values =
                Arbitraries.of(
                        "", "=", "=1", "=x", "=1,2", "=,", "=a,b,c,d,e", "=\"1 2\"", "=y,n", " --");
        return net.jqwik.api.Combinators.combine(names, values)
                .as(String::concat)
                .list()
                .ofMaxSize(9)
                .map(words -> String.join(" ", words));
    }

    @Property(tries = 300)
    void whateverBytesTheArgumentsAreTheLoadEndsWell(
            @ForAll @CharRange(from = '\0', to = '\u00ff') @StringLength(max = 80) String bytes,
            @ForAll("arguments") String words) {
        useAll(all(Encoding.ELF64_LSB), null, bytes);
        useAll(all(Encoding.ELF64_LSB), null, words + bytes);
    }

    @Property(tries = 600)
    void whateverPointersATableHasTheLoadEndsWell(
            @ForAll("arguments") String words,
            @ForAll long seed,
            @ForAll @IntRange(min = 0, max = 3) int encoding,
            @ForAll @IntRange(min = 1, max = 4) int changes) {
        useAll(all(ENCODINGS.get(encoding)), new Wild(seed, changes), words);
    }

    /** Moves pointers and overwrites bytes of the tables. */
    private record Wild(long seed, int changes) {
        ModuleImage apply(ModuleImage image) {
            Random random = new Random(seed);
            ModuleImage changed = image;
            for (int i = 0; i < changes; i++) {
                changed = random.nextBoolean() ? moved(changed, random) : patched(changed, random);
            }
            return changed;
        }

        private static ModuleImage moved(ModuleImage image, Random random) {
            int table =
                    image.relocationsFor(
                                    image.sectionIndex(
                                            random.nextBoolean() ? "__param" : ".rodata"))
                            .get(0)
                            .section();
            byte[] bytes = image.section(table).contents().toByteArray();
            int word = image.encoding().wordSize();
            int entry = random.nextInt(bytes.length / (3 * word));
            for (int i = 0; i < word; i++) { // the addend
                bytes[entry * 3 * word + 2 * word + i] =
                        random.nextInt(3) == 0 ? (byte) random.nextInt(200) : 0;
            }
            return Images.withSection(
                    image, table, image.section(table).withContents(Bytes.copyOf(bytes)));
        }

        private static ModuleImage patched(ModuleImage image, Random random) {
            int section = image.sectionIndex(random.nextBoolean() ? "__param" : ".rodata");
            byte[] bytes = image.section(section).contents().toByteArray();
            int at = random.nextInt(bytes.length);
            for (int i = at; i < Math.min(bytes.length, at + 8); i++) {
                bytes[i] = (byte) (random.nextBoolean() ? 0xff : random.nextInt());
            }
            return Images.withSection(
                    image, section, image.section(section).withContents(Bytes.copyOf(bytes)));
        }
    }

    private static void useAll(
            ParameterModule module,
            @org.jspecify.annotations.Nullable Wild wild,
            String arguments) {
        ModuleImage image = wild == null ? module.image() : wild.apply(module.image());
        Kernel kernel = module.kernel().memoryLimit(1 << 20).build();
        try {
            Module loaded = kernel.load(image, arguments);
            for (ModuleParameter parameter : loaded.parameters()) {
                use(parameter);
            }
            kernel.unload("m");
        } catch (LoadException e) {
            assertThat(e.errnoNumber()).isPositive();
        }
        assertThat(kernel.modules()).isEmpty();
        assertThat(kernel.memory().regions()).extracting(Region::toString).isEmpty();
    }

    private static void use(ModuleParameter parameter) {
        try {
            assertThat(parameter.read().length()).isLessThan(ParameterAccess.PAGE);
            parameter.write("1,2");
        } catch (LoadException e) {
            assertThat(e.errnoNumber()).isPositive();
        }
    }

    @Property(tries = 200)
    void aNumberThatIsSetIsShown(@ForAll int number, @ForAll("radix") int radix) {
        Kernel kernel = all(Encoding.ELF32_MSB).kernel().build();
        String text =
                switch (radix) {
                    case 8 -> number < 0 ? "-0" + octal(number) : "0" + octal(number);
                    case 16 -> number < 0 ? "-0x" + hex(number) : "0x" + hex(number);
                    default -> String.valueOf(number);
                };
        Module module = kernel.load(all(Encoding.ELF32_MSB).image(), "i=" + text);
        assertThat(ParameterModule.shown(module, "i")).isEqualTo(String.valueOf(number));
        ParameterModule.parameter(module, "i").write(ParameterModule.shown(module, "i") + "\n");
        assertThat(ParameterModule.shown(module, "i")).isEqualTo(String.valueOf(number));
    }

    private static String octal(int number) {
        return Long.toOctalString(Math.abs((long) number));
    }

    private static String hex(int number) {
        return Long.toHexString(Math.abs((long) number));
    }

    @Provide
    Arbitrary<Integer> radix() {
        return Arbitraries.of(8, 10, 16);
    }

    @Property(tries = 200)
    void aTextThatIsSetIsShown(
            @ForAll @CharRange(from = '!', to = '\u009f') @StringLength(max = 40) String text) {
        String plain = text.replace("\"", "'");
        Kernel kernel = all(Encoding.ELF64_MSB).kernel().build();
        Module module = kernel.load(all(Encoding.ELF64_MSB).image(), "c=\"" + plain + '"');
        assertThat(ParameterModule.shown(module, "c")).isEqualTo(plain);
    }
}
