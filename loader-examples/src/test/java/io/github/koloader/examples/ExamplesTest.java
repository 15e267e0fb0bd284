package io.github.koloader.examples;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import org.junit.jupiter.api.Test;

/** Every example runs, on the module path, and prints what it says. */
class ExamplesTest {
    @Test
    void theTestsRunOnTheModulePath() {
        assertThat(FirstModule.class.getModule().getName())
                .isEqualTo("io.github.koloader.examples");
    }

    @Test
    void firstModulePrintsLogStateAndSections() throws IOException {
        assertThat(Output.of(FirstModule::main, "hello.ko"))
                .contains("hello: loading out-of-tree module taints kernel.")
                .contains("hello is live\n")
                .containsPattern("0xffffffffc0[0-9a-f]{6} r-x \\.text\n");
    }

    @Test
    void javaInitCountsRegistersAndUnregisters() throws IOException {
        assertThat(Output.of(JavaInit::main, "exporter.ko", "importer.ko"))
                .contains("registered: [Registration[module=importer, kind=chrdev, name=counter, ")
                .contains("registered: []\n")
                .contains("importer: counter=41\n")
                .contains("importer: counter=40\n");
    }

    @Test
    void dependenciesFailInTheWrongOrder() throws IOException {
        assertThat(Output.of(Dependencies::main, "exporter.ko", "importer.ko"))
                .contains("importer alone: ENOENT")
                .contains("importer: Unknown symbol kofix_add (err -2)")
                .contains("importer uses [exporter]\n")
                .contains("exporter is used by [importer]\n")
                .contains("unloading the exporter first: EAGAIN")
                .contains("modules left: []\n");
    }

    @Test
    void failingLoadsFailAtEverythingALoadDoes() throws IOException {
        assertThat(Output.of(FailingLoads::main, "exporter.ko", "importer.ko"))
                .startsWith("IMAGE_MEMORY: ENOMEM\n")
                .contains("CORE_MEMORY: ENOMEM\n", "SYMBOLS: ENOMEM\n", "RELOCATIONS: ENOMEM\n")
                .endsWith("INIT_RECORD: ENOMEM\nINIT: ENOMEM\n");
    }

    @Test
    void whyNotPrintsErrnoLineAndDiagnosis() throws IOException {
        assertThat(Output.of(WhyNot::main, "hello.ko"))
                .startsWith("errno 8\nERR hello: version magic '6.1.0-50-amd64 SMP preempt ")
                .contains("\nWhat to do: ");
    }

    @Test
    void lookAroundShowsAParameterBeforeAndAfterAWrite() throws IOException {
        assertThat(Output.of(LookAround::main, "params.ko"))
                .matches("params \\d+ 0 - Live 0xffffffffc0000000 \\(OE\\)\n16\n17\n");
    }

    @Test
    void ownRelocationLawHolds() throws IOException {
        assertThat(Output.of(OwnRelocationLaw::main)).isEqualTo("100 images obey the law\n");
    }

    @Test
    void oneSourceLivesTwiceAndDiffersOnlyAsItHasTo() throws IOException {
        assertThat(Output.of(SameSourceTwice::main, "hello.ko", "../../link/x86_64/hello.o"))
                .isEqualTo(
                        """
                        ---- init answers 0
                        built in: hello_init of hello, device_initcall, level 6
                        built in: answered 0
                        built in: init is gone after boot
                        loaded: [Module[hello, live]]
                        Hello World
                        Hello World
                        Bye Bye World
                        ---- init answers -ENODEV
                        built in: hello_init of hello, device_initcall, level 6
                        built in: answered -19
                        built in: init is gone after boot
                        loaded: ENODEV
                        Hello World
                        Hello World
                        """);
    }

    @Test
    void firstBootRunsJavaAndAKernelFromItsFile() throws IOException {
        assertThat(Output.of(FirstBoot::main, "../../vmlinux-mini/x86_64-prel32.elf"))
                .isEqualTo(
                        """
                        [    0.000000] Kernel command line: loop.max_loop=2 initcall_debug splash
                        [    0.000000] Unknown kernel command line parameters "splash", will be passed to user space.
                        [    0.000000] calling  bus_init+0x0/0x10 @ 1
                        [    0.000000] initcall bus_init+0x0/0x10 returned -19 after 0 usecs
                        [    0.000000] calling  loop_init+0x0/0x10 @ 1
                        [    0.000000] 2 loop disks
                        [    0.000000] initcall loop_init+0x0/0x10 returned 0 after 0 usecs
                        [    0.000000] Freeing unused kernel image (initmem) memory: 4K
                        [bus_init, loop_init], for init: [splash]
                        24 calls, 13 exports
                        [levels_console, levels_early, levels_pure]
                        """);
    }
}
