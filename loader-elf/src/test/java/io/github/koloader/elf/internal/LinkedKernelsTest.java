package io.github.koloader.elf.internal;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIOException;

import io.github.koloader.Kernel;
import io.github.koloader.KernelSymbolTable;
import io.github.koloader.LinkedKernel;
import io.github.koloader.image.Encoding;
import io.github.koloader.memory.AddressRange;
import java.io.IOException;
import org.junit.jupiter.api.Test;

final class LinkedKernelsTest {
    private static final String EARLY =
            "Linux version 6.1.0-50-amd64 (who@where) (gcc-12) # SMP Debian 6.1.176-1";
    private static final String BANNER =
            "Linux version 6.1.0-50-amd64 (who@where) (gcc-12) #1 SMP Debian 6.1.176-1";
    private static final String VERMAGIC = "6.1.0-50-amd64 SMP preempt mod_unload modversions ";

    private final TestImage image = new TestImage(Encoding.ELF64_LSB);

    private LinkedKernel read() throws IOException {
        return LinkedKernels.read(image.image(), image.table(), "kernel");
    }

    @Test
    void theVersionLineIsTheOneWithANumber() throws IOException {
        image.text(EARLY + "\n");
        image.text(BANNER + "\n");
        image.text(VERMAGIC);

        LinkedKernel kernel = read();

        assertThat(kernel.banner()).contains(BANNER);
        assertThat(kernel.release()).contains("6.1.0-50-amd64");
        assertThat(kernel.vermagic()).contains(VERMAGIC);
        assertThat(kernel.unknown()).contains("Exports: CRCs: the tables of them were not found.");
    }

    @Test
    void theVersionLineIsTheOneOfItsSymbol() throws IOException {
        image.text(BANNER);
        long other = image.text("Linux version 6.2.0 (a) #2");
        image.symbolAt("linux_banner", other);

        assertThat(read().banner()).contains("Linux version 6.2.0 (a) #2");
        assertThat(read().release()).contains("6.2.0");
    }

    @Test
    void textsThatOnlyBeginWithTheReleaseAreNoVermagic() throws IOException {
        image.text(BANNER);
        image.text("6.1.0-50-amd64 (who@where) SMP mod_unload ");
        image.text("6.1.0-50-amd64 Debian");

        assertThat(read().vermagic()).isEmpty();
        assertThat(read().unknown())
                .contains("Vermagic: no text in the image looks like one of this release.");
    }

    @Test
    void ofTwoVermagicsNeitherCounts() throws IOException {
        image.text(BANNER);
        image.text(VERMAGIC);
        image.text("6.1.0-50-amd64 SMP mod_unload ");

        assertThat(read().vermagic()).isEmpty();
        assertThat(read().unknown())
                .contains(
                        "Vermagic: more than one text in the image looks like one of this"
                                + " release.");
    }

    @Test
    void aVersionThatIsNoneIsNoVersion() throws IOException {
        image.text("Linux version banana (a) #1");
        image.symbol("_stext", 0);

        assertThat(read().banner()).isEmpty();
        assertThat(read().kernel().build().modules()).isEmpty();
    }

    @Test
    void theConfigurationIsThatOfTheVermagic() throws IOException {
        image.text(BANNER);
        image.text(VERMAGIC);

        Kernel kernel = read().kernel().build();

        assertThat(kernel.config().release()).isEqualTo("6.1.0-50-amd64");
        assertThat(kernel.config().modversions()).isTrue();
        assertThat(kernel.config().checkVermagic()).isTrue();
    }

    @Test
    void anImageOfNothingIsNoKernel() {
        assertThatIOException()
                .isThrownBy(this::read)
                .withMessageStartingWith("kernel: no kernel: it has no version line, no symbols");
    }

    /** Records of parameters, from an offset on. */
    private void parameters(int offset, int count, boolean withModule) {
        for (int i = 0; i < count; i++) {
            int at = offset + i * (withModule ? 40 : 32);
            int operations = at + (withModule ? 16 : 8);
            image.word(at, image.text("module.parameter" + i)).word(operations, image.at(0x100));
            if (withModule) {
                image.word(at + 8, 0);
            }
            image.integer(operations + 8, withModule ? 0x00ff_01a4 : 0xffff_01a4);
            image.integer(operations + 12, 0).word(operations + 16, image.at(0x200));
        }
    }

    @Test
    void parametersAreWhereTheirRecordsAre() throws IOException {
        image.text(BANNER);
        parameters(0x2000, 20, true);

        assertThat(read().parameterTable())
                .contains(AddressRange.between(image.at(0x2000), image.at(0x2000 + 800)));
    }

    @Test
    void parametersOfOldKernelsHaveNoModule() throws IOException {
        image.text(BANNER);
        parameters(0x2000, 20, false);

        assertThat(read().parameterTable())
                .contains(AddressRange.between(image.at(0x2000), image.at(0x2000 + 640)));
    }

    @Test
    void twoPlacesOfParametersAreNeitherOfThem() throws IOException {
        image.text(BANNER);
        parameters(0x2000, 20, true);
        parameters(0x3000, 20, true);

        assertThat(read().parameterTable()).isEmpty();
        assertThat(read().unknown()).contains("Parameters: nothing tells where __param is.");
    }

    @Test
    void aTableOfSymbolsAloneIsAKernel() throws IOException {
        image.symbol("_stext", 0);

        assertThat(read().symbols().count()).isEqualTo(1);
        assertThat(read().symbols()).isNotSameAs(KernelSymbolTable.EMPTY);
    }

    /** Twenty initcalls; the last three lie behind the last level. */
    private void initcalls() {
        image.symbol("_stext", 0).symbol("_etext", 8);
        image.symbol("_sinittext", 8).symbol("_einittext", 0x1000);
        for (int i = 0; i < 20; i++) {
            image.symbol("f" + i, 16 * i + 16).word(0x2000 + 8 * i, image.at(16 * i + 16));
        }
        for (int level = 0; level <= 8; level++) {
            image.word(0x1800 + 8 * level, image.at(0x2008 + 16 * level));
        }
    }

    @Test
    void whatIsBehindTheLastLevelOfAnOldKernelMayBeOfSecurityFrameworks() throws IOException {
        initcalls();
        image.text("Linux version 4.19.0 (a) #1");

        assertThat(read().initcalls()).hasSize(20);
        assertThat(read().unknown()).anyMatch(text -> text.contains("are of security frameworks"));
    }

    @Test
    void whatIsBehindTheLastLevelOfALaterKernelIsOfConsoles() throws IOException {
        initcalls();
        image.text("Linux version 5.0.0 (a) #1");

        assertThat(read().initcalls()).hasSize(20);
        assertThat(read().unknown()).noneMatch(text -> text.contains("are of security frameworks"));
    }
}
