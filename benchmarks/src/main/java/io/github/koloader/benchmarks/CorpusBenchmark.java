package io.github.koloader.benchmarks;

import io.github.koloader.arch.Architectures;
import io.github.koloader.elf.KoReader;
import io.github.koloader.elf.ModuleTree;
import io.github.koloader.image.Bytes;
import java.io.File;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.TreeMap;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * Measures loading a whole tree of modules, each in processes of its own and all in one run: this
 * library in a fresh JVM and warm, a C program that only parses, lays out, resolves and relocates,
 * {@code depmod -n}, and jelf. What is not installed (a C compiler, depmod) is said to be missing.
 */
public final class CorpusBenchmark {
    private static final Pattern FIELD = Pattern.compile("(\\w+)=([0-9.]+)");
    private static final int PASSES = 16;
    private static final String MAIN = "io.github.koloader.benchmarks.";

    /** A young generation that a pass does not fill, so that no pass pays for another's garbage. */
    private static final List<String> WARM = List.of("-Xms6g", "-Xmn4g", "-XX:+UseSerialGC");

    /** For one pass: little memory, which is used again, and the compiler that costs least. */
    private static final List<String> FRESH =
            List.of(
                    "-Xms512m",
                    "-Xmn48m",
                    "-XX:+UseSerialGC",
                    "-XX:MaxTenuringThreshold=0",
                    "-XX:TieredStopAtLevel=1",
                    "-Xshare:auto");

    private final Path list;
    private final Path symvers;
    private final String release;
    private final int passes;

    private CorpusBenchmark(Path list, Path symvers, String release, int passes) {
        this.list = list;
        this.symvers = symvers;
        this.release = release;
        this.passes = passes;
    }

    /**
     * Arguments: a release directory and its Module.symvers, of which everything is measured; then
     * any number of further such pairs, of other architectures, which are loaded warm and compared
     * with the first. The C program is for x86-64 and files that are not packed; other trees are
     * measured without it.
     */
    public static void main(String[] arguments) throws IOException, InterruptedException {
        if (arguments.length < 2 || arguments.length % 2 != 0) {
            System.err.println(
                    "usage: CorpusBenchmark RELEASE_DIR MODULE_SYMVERS [RELEASE_DIR MODULE_SYMVERS]...");
            System.exit(2);
        }
        double relocations = 0;
        for (int i = 0; i < arguments.length; i += 2) {
            Path directory = Path.of(arguments[i]).toAbsolutePath().normalize();
            ModuleTree tree = ModuleTree.read(directory, KoReader.any());
            Path list = Files.createTempFile("modules", ".list");
            try {
                Files.write(
                        list,
                        tree.entries().stream()
                                .map(entry -> directory.resolve(entry.path()).toString())
                                .toList());
                String release = directory.getFileName().toString();
                CorpusBenchmark benchmark =
                        new CorpusBenchmark(list, Path.of(arguments[i + 1]), release, PASSES);
                if (i == 0) {
                    relocations = benchmark.run(directory, tree.entries().size());
                } else {
                    benchmark.compare(relocations);
                }
            } finally {
                Files.delete(list);
            }
        }
    }

    /** A line about another tree, loaded warm. */
    private void compare(double relocationsOfFirst) throws IOException, InterruptedException {
        List<Map<String, Double>> warm = load(WARM, passes, 0);
        Map<String, Double> last = warm.get(warm.size() - 1);
        double cpu = median(warm, "cpu_s");
        double relocations = value(last, "relocations") / cpu;
        System.out.printf(
                Locale.ROOT,
                "%-28s %5.0f modules %8.0f relocations %.3f s CPU: %5.1f µs a module, %5.2f M relocations/s,"
                        + " the first tree's is %.2f times that%n",
                release,
                value(last, "modules"),
                value(last, "relocations"),
                cpu,
                cpu * 1e6 / value(last, "modules"),
                relocations / 1e6,
                relocationsOfFirst / relocations);
    }

    /** Prints everything about the tree, and returns relocations a second of processor time. */
    private double run(Path directory, int modules) throws IOException, InterruptedException {
        List<Map<String, Double>> fresh = firstPasses();
        List<Map<String, Double>> warm = load(WARM, passes, 0);
        double warmCpu = median(warm, "cpu_s");
        Map<String, Double> last = warm.get(warm.size() - 1);
        System.out.printf(
                Locale.ROOT,
                "%d modules, %.0f relocations, %.0f symbols resolved%n%n",
                modules,
                value(last, "relocations"),
                value(last, "symbols_resolved"));
        row("koloader, warm, median of passes from the 4th on", warmCpu, warmCpu);
        System.out.printf(
                Locale.ROOT,
                "    %.0f modules/s, %.2f M relocations/s, peak heap %.0f MiB%n",
                modules / median(warm, "wall_s"),
                value(last, "relocations") / median(warm, "wall_s") / 1e6,
                value(last, "peak_heap_mib"));
        row("koloader, first pass in a fresh JVM, median of 5", median(fresh, "cpu_s"), warmCpu);
        System.out.printf(
                Locale.ROOT,
                "    with the start of the JVM %.3f s CPU, peak heap %.0f MiB%n",
                median(fresh, "cpu_since_start_s"),
                median(fresh, "peak_heap_mib"));
        for (List<String> options : List.of(List.<String>of(), List.of("--reuse"))) {
            Optional<List<Map<String, Double>>> c = cProgram(options);
            String name =
                    "C, " + (options.isEmpty() ? "keeping every image" : "one buffer used again");
            c.ifPresentOrElse(
                    result -> row(name, median(result, "cpu_s"), warmCpu),
                    () -> System.out.println(name + ": no C compiler, or not for such modules"));
        }
        depmod(directory)
                .ifPresentOrElse(
                        cpu -> row("depmod -n", cpu, warmCpu),
                        () -> System.out.println("depmod -n: not installed"));
        double walk = median(walk("koloader"), "cpu_s");
        double jelf = median(walk("jelf"), "cpu_s");
        System.out.printf(Locale.ROOT, "%nwalk over all sections, symbol names and relocations%n");
        System.out.printf(
                Locale.ROOT,
                "  koloader %.3f s CPU, jelf %.3f s CPU: %.1f times%n",
                walk,
                jelf,
                jelf / walk);
        System.out.printf(Locale.ROOT, "%nloading is linear: warm, by number of modules%n");
        for (int limit : new int[] {500, 1000, 2000, 4000}) {
            if (limit <= modules) {
                List<Map<String, Double>> part =
                        load(WARM, passes * Math.max(1, modules / limit), limit);
                double cpu = median(part, "cpu_s");
                double relocations = value(part.get(0), "relocations");
                System.out.printf(
                        Locale.ROOT,
                        "  %5d modules %9.0f relocations %.3f s CPU: %5.1f µs a module, %5.1f ns a relocation%n",
                        limit,
                        relocations,
                        cpu,
                        cpu * 1e6 / limit,
                        cpu * 1e9 / relocations);
            }
        }
        System.out.println();
        return value(last, "relocations") / warmCpu;
    }

    private static void row(String name, double cpu, double warm) {
        System.out.printf(
                Locale.ROOT,
                "%-50s %.3f s CPU, warm koloader is %.2f times that%n",
                name,
                cpu,
                warm / cpu);
    }

    private static double value(Map<String, Double> fields, String name) {
        Double value = fields.get(name);
        if (value == null) {
            throw new IllegalStateException("a pass was printed without " + name);
        }
        return value;
    }

    /** The median over passes from the fourth on, or over all if there are fewer. */
    private static double median(List<Map<String, Double>> results, String field) {
        double[] values =
                results.stream()
                        .skip(results.size() > 5 ? 3 : 0)
                        .mapToDouble(result -> value(result, field))
                        .sorted()
                        .toArray();
        return values[values.length / 2];
    }

    /**
     * One pass in each of five JVMs, which share an archive of their classes as the launcher's do.
     */
    private List<Map<String, Double>> firstPasses() throws IOException, InterruptedException {
        Path archive = Files.createTempFile("classes", ".jsa");
        Files.delete(archive);
        try {
            load(with(FRESH, "-XX:ArchiveClassesAtExit=" + archive, "-Xlog:disable"), 1, 1);
            List<Map<String, Double>> passesTaken = new ArrayList<>();
            for (int i = 0; i < 5; i++) {
                List<String> options =
                        with(FRESH, "-XX:SharedArchiveFile=" + archive, "-Xlog:disable");
                passesTaken.addAll(load(options, 1, 0));
            }
            return passesTaken;
        } finally {
            Files.deleteIfExists(archive);
        }
    }

    private static List<String> with(List<String> options, String... more) {
        List<String> all = new ArrayList<>(options);
        all.addAll(Arrays.asList(more));
        return all;
    }

    private List<Map<String, Double>> load(List<String> options, int number, int limit)
            throws IOException, InterruptedException {
        return java(
                options,
                "LoadPasses",
                list.toString(),
                symvers.toString(),
                release,
                Integer.toString(number),
                Integer.toString(limit));
    }

    private List<Map<String, Double>> walk(String library)
            throws IOException, InterruptedException {
        return java(
                WARM,
                "WalkPasses",
                list.toString(),
                Integer.toString(library.equals("jelf") ? Math.min(passes, 5) : passes),
                library);
    }

    private static List<Map<String, Double>> java(
            List<String> options, String main, String... arguments)
            throws IOException, InterruptedException {
        List<String> command = new ArrayList<>();
        command.add(Path.of(System.getProperty("java.home"), "bin", "java").toString());
        command.addAll(options);
        command.addAll(List.of("-cp", System.getProperty("java.class.path"), MAIN + main));
        command.addAll(Arrays.asList(arguments));
        return lines(command);
    }

    private static List<Map<String, Double>> lines(List<String> command)
            throws IOException, InterruptedException {
        List<Map<String, Double>> results = new ArrayList<>();
        for (String line : output(command).lines().toList()) {
            if (line.startsWith("pass=")) {
                Map<String, Double> fields = new TreeMap<>();
                for (Matcher matcher = FIELD.matcher(line); matcher.find(); ) {
                    fields.putIfAbsent(matcher.group(1), number(matcher.group(2)));
                }
                results.add(fields);
            }
        }
        if (results.isEmpty()) {
            throw new IOException("no pass was printed by " + command);
        }
        return results;
    }

    /** A number, or 0 for the digits of a hexadecimal sum. */
    private static double number(String text) {
        return text.matches("[0-9]+(\\.[0-9]+)?") ? Double.parseDouble(text) : 0;
    }

    private static String output(List<String> command) throws IOException, InterruptedException {
        Process process =
                new ProcessBuilder(command).redirectError(ProcessBuilder.Redirect.INHERIT).start();
        String text = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
        int exit = process.waitFor();
        if (exit != 0) {
            throw new IOException("exit code " + exit + " of " + command);
        }
        return text;
    }

    private static boolean installed(String program) {
        return Arrays.stream(System.getenv().getOrDefault("PATH", "").split(File.pathSeparator))
                .anyMatch(directory -> Files.isExecutable(Path.of(directory, program)));
    }

    private Optional<List<Map<String, Double>>> cProgram(List<String> options)
            throws IOException, InterruptedException {
        Path first = Path.of(Files.readAllLines(list).get(0));
        if (!KoReader.architectureOf(Bytes.wrap(Files.readAllBytes(first)))
                .equals(Optional.of(Architectures.X86_64))) {
            return Optional.empty();
        }
        Path source = Path.of("benchmarks/src/main/c/kobase.c");
        if (!Files.exists(source)) {
            source = Path.of("src/main/c/kobase.c");
        }
        if (!installed("cc") || !Files.exists(source)) {
            return Optional.empty();
        }
        Path program = Files.createTempFile("kobase", "");
        try {
            output(List.of("cc", "-std=gnu11", "-O2", "-o", program.toString(), source.toString()));
            List<String> command = new ArrayList<>(List.of(program.toString()));
            command.addAll(options);
            command.addAll(
                    List.of(
                            "--passes",
                            Integer.toString(passes),
                            list.toString(),
                            symvers.toString()));
            return Optional.of(lines(command));
        } finally {
            Files.delete(program);
        }
    }

    /** Processor seconds of {@code depmod -n} over the same tree, the median of three. */
    private OptionalDouble depmod(Path directory) throws IOException, InterruptedException {
        Path base = directory;
        for (int i = 0; i < 3 && base != null; i++) {
            base = base.getParent(); // lib/modules/RELEASE
        }
        String program = installed("depmod") ? "depmod" : "/usr/sbin/depmod";
        if (base == null || !installed("depmod") && !Files.isExecutable(Path.of(program))) {
            return OptionalDouble.empty();
        }
        double[] seconds = new double[3];
        for (int i = 0; i < seconds.length; i++) {
            String command =
                    program + " -n -b '" + base + "' " + release + " >/dev/null 2>&1; times";
            List<String> lines = output(List.of("sh", "-c", command)).lines().toList();
            seconds[i] =
                    Arrays.stream(lines.get(lines.size() - 1).trim().split("\\s+", -1))
                            .mapToDouble(CorpusBenchmark::minutesAndSeconds)
                            .sum();
        }
        Arrays.sort(seconds);
        return OptionalDouble.of(seconds[1]);
    }

    /** {@code 0m1.234s}. */
    private static double minutesAndSeconds(String text) {
        int minutes = text.indexOf('m');
        return 60 * Double.parseDouble(text.substring(0, minutes))
                + Double.parseDouble(text.substring(minutes + 1, text.length() - 1));
    }
}
