package io.github.koloader.testkit;

import static org.assertj.core.api.Assertions.assertThat;

import io.github.koloader.Executor;
import io.github.koloader.ExportedSymbol;
import io.github.koloader.JavaExecutor;
import io.github.koloader.Kernel;
import io.github.koloader.KernelConfig;
import io.github.koloader.KernelSymbols;
import io.github.koloader.LoadException;
import io.github.koloader.LoadedSection;
import io.github.koloader.Module;
import io.github.koloader.ParameterType;
import io.github.koloader.SysfsTree;
import io.github.koloader.arch.Architecture;
import io.github.koloader.arch.Architectures;
import io.github.koloader.elf.KoReader;
import io.github.koloader.memory.Address;
import io.github.koloader.memory.AddressRange;
import io.github.koloader.memory.FirstFitAllocator;
import java.io.IOException;
import java.nio.file.Files;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeSet;
import java.util.regex.Pattern;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/**
 * Does what the transcript of a real kernel did with the fixtures, and compares errno, log,
 * addresses of all sections, sizes, taints, the line of /proc/modules, kallsyms and the values of
 * parameters. What needs signatures or files made on the spot is not done again.
 */
class OracleTest {
    /**
     * What the loader says, and the fixture with parameters; the other lines of a transcript are
     * what the modules' own code prints.
     */
    private static final Pattern LOADER =
            Pattern.compile(
                    ".*(taints? kernel|tainting kernel|kernel taint|Unknown symbol|suspiciously returned|loading module anyway"
                            + "|inheriting taint|disagrees about|duplicate symbol|unsupported RELA).*"
                            + "|(params|p_\\w+): .*|p_\\w+(\\[\\d])?=.*|doing .*");

    private record Step(String command, List<String> facts) {
        List<String> all(String kind) {
            return facts.stream()
                    .filter(fact -> fact.startsWith(kind + ": "))
                    .map(fact -> fact.substring(kind.length() + 2))
                    .toList();
        }

        Optional<String> first(String kind) {
            return all(kind).stream().findFirst();
        }
    }

    private int compared;

    @ParameterizedTest
    @CsvSource({
        "x86_64, x86_64, 95",
        "x86_64-6.12, x86_64, 87",
        "arm64, arm64, 87",
        "arm64-6.12, arm64, 87",
        "arm, arm, 87",
        "i386, i386, 87"
    })
    void theFixturesDoWhatTheyDidOnARealKernel(String target, String name, int steps)
            throws IOException {
        List<String> lines = Files.readAllLines(Fixtures.resource("oracle/" + target + ".txt"));
        Architecture architecture = Architectures.named(name).orElseThrow();
        KernelConfig config = KernelConfig.forRelease(lines.get(0).split(" ")[1]);
        Kernel kernel = kernel(architecture, config);
        for (Step step : steps(lines)) {
            String[] words = step.command().split(" ", 3);
            if (words[0].equals("file:")) {
                break; // from here on the transcript is about files made on the spot
            }
            int logged = kernel.log().lines().size();
            int errno =
                    words[0].equals("insmod")
                            ? insmod(kernel, target, words)
                            : rmmod(kernel, words[1]);
            compare(
                    kernel,
                    step,
                    words,
                    errno,
                    kernel.log().lines().subList(logged, kernel.log().lines().size()));
        }
        assertThat(compared).isEqualTo(steps);
    }

    private static Kernel kernel(Architecture architecture, KernelConfig config) {
        Executor executor =
                JavaExecutor.builder()
                        .bind("initfail", "init_module", call -> -19)
                        .bind("initpositive", "init_module", call -> 42)
                        .bind("params", "params_init", ParamsFixture::init)
                        .bind("params", "cb_set", ParamsFixture::setCallback)
                        .bind("params", "cb_get", call -> call.showAs(ParameterType.INT))
                        .bind("params", "flag_set", ParamsFixture::setFlag)
                        .build();
        AddressRange modules = architecture.moduleAreas(config).get(0);
        boolean x86 = architecture == Architectures.X86_64;
        long start =
                x86
                        ? 0xffffffff_c0201000L // its first free address: the kernel had used some
                        : modules.start().value();
        return Kernel.builder(architecture)
                .config(config)
                .symbols(kernelExports(architecture.kernelText(config).start()))
                .strict()
                .executor(executor)
                .allocator(
                        new FirstFitAllocator(
                                List.of(AddressRange.between(start, modules.end().value())),
                                architecture.imageArea(config),
                                x86 ? perCpuArea(config) : architecture.perCpuArea(config),
                                architecture.pageSize()))
                .build();
    }

    /** Each x86-64 kernel's own per-CPU data ends at another offset. */
    private static AddressRange perCpuArea(KernelConfig config) {
        long start = config.atLeast(6, 12) ? 0x39000 : 0x35000;
        return AddressRange.between(start, start + 0x2000);
    }

    /** A kernel that exports everything but what the fixtures export and what nobody does. */
    private static KernelSymbols kernelExports(Address text) {
        Map<String, Address> addresses = new HashMap<>();
        return name -> {
            if (name.startsWith("kofix_") || name.equals("maybe")) {
                return Optional.empty();
            }
            Address next = text.plus(16L * addresses.size());
            Address old = addresses.putIfAbsent(name, next);
            return Optional.of(ExportedSymbol.of(name, old == null ? next : old));
        };
    }

    private static List<Step> steps(List<String> lines) {
        List<Step> steps = new ArrayList<>();
        for (String line : lines.subList(1, lines.size())) {
            if (line.startsWith("  ")) {
                steps.get(steps.size() - 1).facts().add(line.strip());
            } else {
                steps.add(new Step(line, new ArrayList<>()));
            }
        }
        return steps;
    }

    /** Busybox puts a blank behind each argument. */
    private static int insmod(Kernel kernel, String target, String[] words) throws IOException {
        try {
            kernel.load(
                    KoReader.read(Fixtures.ko(target + "/" + words[1])),
                    words.length > 2 ? words[2] + " " : "");
            return 0;
        } catch (LoadException e) {
            return e.errnoNumber();
        }
    }

    private static int rmmod(Kernel kernel, String name) {
        try {
            kernel.unload(name);
            return 0;
        } catch (LoadException e) {
            return 1; // rmmod's status
        }
    }

    private void compare(Kernel kernel, Step step, String[] words, int errno, List<String> logged) {
        compared++;
        String what = step.command();
        assertThat(errno)
                .as(what)
                .isEqualTo(Integer.parseInt(step.first("rc").orElseThrow().split(" ")[0]));
        List<String> ours = logged.stream().flatMap(String::lines).toList();
        List<String> theirs = step.all("log").stream().filter(LOADER.asMatchPredicate()).toList();
        assertThat(ours).as(what).isEqualTo(theirs);
        if (!words[0].equals("insmod") || errno != 0) {
            return;
        }
        Module module = kernel.modules().get(0);
        assertThat(procModules(kernel)).as(what).isEqualTo(step.first("proc").orElseThrow());
        long kernelTaint =
                Long.parseLong(step.first("taint").orElseThrow().replaceAll(".*kernel=", ""));
        SysfsTree sysfs = kernel.sysModule();
        assertThat(sysfs.text(module.name() + "/taint"))
                .as(what)
                .isEqualTo(step.first("taint").orElseThrow().replaceAll(" *kernel=.*", "") + "\n");
        assertThat(kernel.taintMask()).as(what).isEqualTo(kernelTaint);
        if (!step.all("param").isEmpty()) {
            assertThat(ParamsFixture.files(module)).as(what).isEqualTo(step.all("param"));
        }
        if (step.first("version").isPresent()) {
            assertThat(
                            "%s srcversion: %s"
                                    .formatted(
                                            sysfs.text(module.name() + "/version").strip(),
                                            sysfs.text(module.name() + "/srcversion").strip()))
                    .as(what)
                    .isEqualTo(step.first("version").orElseThrow());
        }
        if (!step.all("section").isEmpty()) {
            long[] shifts = shifts(module, step.all("section"));
            assertThat(
                            "core %s init %s"
                                    .formatted(
                                            sysfs.text(module.name() + "/coresize").strip(),
                                            sysfs.text(module.name() + "/initsize").strip()))
                    .as(what)
                    .isEqualTo(step.first("sizes").orElseThrow());
            if (kernel.architecture() == Architectures.X86_64) {
                assertThat(shifts).as(what).containsOnly(0);
            }
            assertThat(sections(kernel, module, shifts))
                    .as(what)
                    .isEqualTo(new TreeSet<>(step.all("section")));
            assertThat(kallsyms(kernel, module, shifts)).as(what).isEqualTo(step.all("kallsyms"));
        }
    }

    /** The line of the newest module without its address. */
    private static String procModules(Kernel kernel) {
        return kernel.procModules()
                .lines()
                .findFirst()
                .orElseThrow()
                .replaceFirst(" 0x[0-9a-f]+", "");
    }

    /**
     * How much higher each block of the module lay in that kernel: whole pages. Arm64 takes its
     * time to give freed memory out again.
     */
    private static long[] shifts(Module module, List<String> recorded) {
        long[] shifts = new long[module.layout().blocks().size()];
        for (LoadedSection section : module.sections()) {
            for (String line : recorded) {
                if (line.startsWith(section.name() + " ")) {
                    Address theirs = Address.parse(line.substring(line.indexOf(' ') + 1));
                    shifts[module.layout().blockOf(section.index())] =
                            theirs.minus(section.address());
                }
            }
        }
        for (long shift : shifts) {
            assertThat(shift % 4096).isZero();
        }
        return shifts;
    }

    /** As /sys/module/X/sections has them, at the addresses of that kernel. */
    private static Set<String> sections(Kernel kernel, Module module, long[] shifts) {
        SysfsTree sysfs = kernel.sysModule();
        Set<String> sections = new TreeSet<>();
        for (SysfsTree.Entry entry : sysfs.list(module.name() + "/sections")) {
            LoadedSection section = module.section(entry.name()).orElseThrow();
            long shift = shifts[module.layout().blockOf(section.index())];
            Address address = Address.parse(sysfs.text(entry.path()).strip());
            sections.add(entry.name() + " " + address(kernel, address.plus(shift), true));
        }
        return sections;
    }

    private static String address(Kernel kernel, Address address, boolean prefix) {
        int digits = 2 * kernel.architecture().encoding().wordSize();
        return (prefix ? "0x" : "") + ("%0" + digits + "x").formatted(address.value());
    }

    /** A symbol may lie at the end of its block. */
    private static long shiftAt(Module module, long[] shifts, Address value) {
        for (int i = 0; i < shifts.length; i++) {
            long offset = value.minus(module.blockAddresses().get(i));
            if (offset >= 0 && offset <= module.layout().blocks().get(i).size()) {
                return shifts[i];
            }
        }
        return 0;
    }

    /** As /proc/kallsyms has them, at the addresses of that kernel. */
    private static List<String> kallsyms(Kernel kernel, Module module, long[] shifts) {
        List<String> lines = new ArrayList<>();
        for (String line : kernel.kallsyms(module).lines().toList()) {
            int space = line.indexOf(' ');
            Address value = Address.parse(line.substring(0, space));
            Address there = value.plus(shiftAt(module, shifts, value));
            lines.add(
                    address(kernel, there, false)
                            + line.substring(space).replace(' ', ':').replace('\t', ':'));
        }
        return lines;
    }
}
