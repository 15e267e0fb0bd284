package io.github.koloader.internal.view;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.github.koloader.Images;
import io.github.koloader.Kernel;
import io.github.koloader.KernelConfig;
import io.github.koloader.LoadException;
import io.github.koloader.Viewer;
import io.github.koloader.arch.Architectures;
import io.github.koloader.image.ImageBuilder;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;

final class ProcModulesTest {
    private static final String BASE = "0xffffffffc0000000";

    private final List<String> seen = new ArrayList<>();

    /** Notes what is to be seen while init and exit run. */
    private Kernel kernel(KernelConfig config) {
        return Kernel.builder(Architectures.X86_64)
                .config(config)
                .executor(
                        call -> {
                            seen.add(call.kernel().procModules());
                            seen.add(call.kernel().modulesLinkedIn());
                            return 0;
                        })
                .build();
    }

    private static ImageBuilder outOfTree(String name) {
        return new ImageBuilder(Images.X86_64, Images.empty("x").encoding(), true)
                .name(name)
                .modinfo("license", "Proprietary")
                .modinfo("retpoline", "Y");
    }

    @Test
    void aKernelWithoutModulesShowsNothing() {
        Kernel kernel = kernel(Images.quiet6_1());
        assertThat(kernel.procModules()).isEmpty();
        assertThat(kernel.modulesLinkedIn()).isEqualTo("Modules linked in:");
    }

    @Test
    void theNewestModuleComesFirst() {
        Kernel kernel = kernel(Images.quiet6_1());
        kernel.load(Images.empty("a"), "");
        kernel.load(Images.empty("b"), "");
        assertThat(kernel.procModules().lines())
                .extracting(line -> line.split(" ")[0])
                .containsExactly("b", "a");
        assertThat(kernel.modulesLinkedIn()).isEqualTo("Modules linked in: b a");
    }

    @Test
    void usersAreListedNewestFirstWithACommaAfterEach() {
        Kernel kernel = kernel(Images.quiet6_1());
        kernel.load(Images.exporting("a", "f"), "");
        kernel.load(Images.importing("b", "f"), "");
        kernel.load(Images.importing("c", "f"), "");
        assertThat(kernel.procModules().lines().toList().get(2)).matches("a \\d+ 2 c,b, Live .*");
        assertThat(kernel.procModules().lines().findFirst().orElseThrow())
                .matches("c \\d+ 0 - Live .*");
    }

    @Test
    void aModuleWithInitAndWithoutExitIsPermanent() {
        Kernel kernel = kernel(Images.quiet6_1());
        kernel.load(Images.withInit("a"), "");
        assertThat(kernel.procModules()).contains(" 0 [permanent], Live ");
    }

    @Test
    void withoutUnloadingThereAreNoReferences() {
        Kernel kernel = kernel(Images.quiet6_1().toBuilder().modUnload(false).build());
        kernel.load(Images.withInit("a"), "");
        assertThat(kernel.procModules()).matches("a \\d+ - - Live " + BASE + "\n");
    }

    @Test
    void whileInitRunsItsMemoryCountsAndTheStateIsLoading() {
        Kernel kernel = kernel(Images.quiet6_1());
        kernel.load(Images.withInitAndExit("a"), "");
        assertThat(seen.get(0)).matches("a \\d+ 1 - Loading " + BASE + "\n");
        long loading = Long.parseLong(seen.get(0).split(" ")[1]);
        long live = Long.parseLong(kernel.procModules().split(" ")[1]);
        assertThat(loading - live).isEqualTo(8192); // init text, and data for kallsyms
        assertThat(seen.get(1)).isEqualTo("Modules linked in: a(+)");
    }

    @Test
    void whileExitRunsTheStateIsUnloading() {
        Kernel kernel = kernel(Images.quiet6_1());
        kernel.load(Images.withInitAndExit("a"), "");
        seen.clear();
        kernel.unload("a");
        assertThat(seen.get(0)).matches("a \\d+ -1 - Unloading " + BASE + "\n");
        assertThat(seen.get(1)).isEqualTo("Modules linked in: a(-)");
        assertThat(kernel.modulesLinkedIn()).isEqualTo("Modules linked in: [last unloaded: a]");
    }

    @Test
    void taintsAreShownWithTheState() {
        Kernel kernel = kernel(Images.quiet6_1());
        ImageBuilder image = outOfTree("a");
        image.init(image.section(Images.code(".init.text", 16)), 0, Images.ABS64);
        image.exit(image.section(Images.code(".exit.text", 16)), 0, Images.ABS64);
        kernel.load(image.build(), "");
        assertThat(seen.get(0)).endsWith(" (PO+)\n");
        assertThat(kernel.procModules()).endsWith(" Live " + BASE + " (PO)\n");
        kernel.unload("a");
        assertThat(seen.get(2)).endsWith(" (PO-)\n");
        assertThat(kernel.modulesLinkedIn()).isEqualTo("Modules linked in: [last unloaded: a(PO)]");
    }

    @Test
    void linux3_10SaysOnlyTheNameOfTheLastUnloaded() {
        Kernel kernel = kernel(Images.quiet(KernelConfig.linux3_10()));
        kernel.load(outOfTree("a").build(), "");
        kernel.unload("a");
        assertThat(kernel.modulesLinkedIn()).isEqualTo("Modules linked in: [last unloaded: a]");
    }

    @Test
    void aModuleWhoseInitFailsIsNotTheLastUnloaded() {
        Kernel kernel =
                Kernel.builder(Architectures.X86_64)
                        .config(Images.quiet6_1())
                        .executor(call -> -19)
                        .build();
        assertThatThrownBy(() -> kernel.load(Images.withInit("a"), ""))
                .isInstanceOf(LoadException.class);
        assertThat(kernel.modulesLinkedIn()).isEqualTo("Modules linked in:");
        assertThat(kernel.procModules()).isEmpty();
    }

    @Test
    void onlyRootSeesAddresses() {
        Kernel kernel = kernel(Images.quiet6_1());
        kernel.load(Images.empty("a"), "");
        assertThat(kernel.procModules(Viewer.USER)).endsWith(" Live 0x0000000000000000\n");
    }

    @Test
    void a32BitKernelPrintsEightDigits() {
        Kernel kernel = Kernel.builder(Architectures.I386).config(Images.quiet6_1()).build();
        ImageBuilder image =
                new ImageBuilder(
                                Architectures.I386.elfMachine(),
                                Architectures.I386.encoding(),
                                false)
                        .name("a")
                        .modinfo("license", "GPL")
                        .modinfo("intree", "Y")
                        .modinfo("retpoline", "Y");
        image.section(Images.text(16));
        kernel.load(image.build(), "");
        assertThat(kernel.procModules()).matches("a \\d+ 0 - Live 0x[0-9a-f]{8}\n");
    }

    @Test
    void since6_4AModuleWithoutCodeHasAddressZero() {
        Kernel kernel = kernel(Images.quiet6_12());
        kernel.load(Images.empty("a"), "");
        assertThat(kernel.procModules()).endsWith(" Live 0x0000000000000000\n");
    }
}
