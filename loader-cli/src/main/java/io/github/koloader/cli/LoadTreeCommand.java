package io.github.koloader.cli;

import com.google.gson.GsonBuilder;
import com.google.gson.JsonArray;
import com.google.gson.JsonObject;
import io.github.koloader.Kernel;
import io.github.koloader.KernelConfig;
import io.github.koloader.LoadException;
import io.github.koloader.Module;
import io.github.koloader.arch.Architecture;
import io.github.koloader.arch.Architectures;
import io.github.koloader.elf.KoReader;
import io.github.koloader.elf.ModuleTree;
import io.github.koloader.elf.ModuleTree.Outcome;
import io.github.koloader.elf.ModuleTree.Unloading;
import io.github.koloader.elf.kernel.ModuleSymvers;
import io.github.koloader.image.ModuleImage;
import io.github.koloader.memory.Layout.Block;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** {@code koloader load-tree}: loads all modules below a directory into one kernel. */
@Command(
        name = "load-tree",
        description = {
            "Load every module below a directory into one kernel, in dependency order.",
            "",
            "With --symvers the kernel is strict: it exports what the file says vmlinux exports, compares CRCs, and"
                    + " refuses unknown symbols. Without it, symbols that nobody exports get made-up addresses.",
            ""
        },
        footer = {
            "",
            "Exit code: 0 all loaded (and unloaded), 1 some were refused or cannot be read, 2 wrong usage.",
            "",
            "Example:",
            "  koloader load-tree /lib/modules/6.1.0-50-amd64 --symvers Module.symvers --unload"
        },
        mixinStandardHelpOptions = true,
        versionProvider = Main.Version.class)
final class LoadTreeCommand implements Callable<Integer> {
    @Parameters(paramLabel = "RELEASE_DIR", description = "Directory to look for modules in.")
    private Path directory = Path.of("");

    @Option(names = "--symvers", paramLabel = "FILE", description = "Module.symvers of the kernel.")
    private @Nullable Path symvers;

    @Option(
            names = "--release",
            paramLabel = "RELEASE",
            description = "The kernel's release. Default: that of the modules' vermagic.")
    private @Nullable String release;

    @Option(names = "--unload", description = "Unload all again, newest first.")
    private boolean unload;

    @Option(names = "--json", description = "Print one JSON object.")
    private boolean json;

    @Spec private CommandSpec spec;

    @Override
    public Integer call() throws IOException {
        JsonObject result = run();
        PrintWriter out = spec.commandLine().getOut();
        out.println(
                json
                        ? new GsonBuilder().disableHtmlEscaping().create().toJson(result)
                        : toText(result));
        boolean clean =
                result.get("refused").getAsInt() == 0
                        && (!unload || result.get("regions_left").getAsInt() == 0);
        return clean ? 0 : 1;
    }

    private JsonObject run() throws IOException {
        if (!Files.isDirectory(directory)) {
            throw new IOException(directory + " is no directory");
        }
        long start = System.nanoTime();
        ModuleTree tree = ModuleTree.read(directory, KoReader.any());
        Optional<ModuleImage> first =
                tree.entries().stream().flatMap(entry -> entry.image().stream()).findFirst();
        if (first.isEmpty()) {
            throw new IOException("no modules below " + directory);
        }
        Kernel kernel = kernel(first.get());
        long read = System.nanoTime();
        List<Outcome> outcomes = tree.loadInto(kernel);
        long loaded = System.nanoTime();

        JsonObject result = new JsonObject();
        result.addProperty("modules", outcomes.size());
        List<Module> modules =
                outcomes.stream().flatMap(outcome -> outcome.module().stream()).toList();
        result.addProperty("loaded", modules.size());
        result.addProperty("refused", outcomes.size() - modules.size());
        result.add("refusals", refusals(outcomes));
        result.addProperty(
                "relocations", modules.stream().mapToLong(Module::relocationCount).sum());
        result.addProperty(
                "symbols_resolved", modules.stream().mapToLong(Module::importCount).sum());
        result.addProperty(
                "bytes",
                modules.stream()
                        .flatMap(module -> module.layout().blocks().stream())
                        .mapToLong(Block::size)
                        .sum());
        result.addProperty("read_seconds", seconds(start, read));
        result.addProperty("load_seconds", seconds(read, loaded));
        if (unload) {
            Unloading unloading = ModuleTree.unloadAll(kernel);
            result.addProperty("unloaded", unloading.unloaded());
            result.addProperty("unloaded_by_force", unloading.forced());
            result.addProperty("unload_seconds", seconds(loaded, System.nanoTime()));
            result.addProperty("regions_left", kernel.memory().regions().size());
        }
        return result;
    }

    private static double seconds(long from, long to) {
        return Math.round((to - from) / 1e6) / 1e3;
    }

    private Kernel kernel(ModuleImage first) throws IOException {
        Architecture architecture =
                Architectures.forMachine(first.machine(), first.encoding())
                        .orElseThrow(() -> new IOException("unknown machine " + first.machine()));
        String vermagic = first.modinfo().firstRaw("vermagic").orElse("");
        KernelConfig config =
                release != null
                        ? ofRelease(release)
                        : vermagic.isEmpty()
                                ? KernelConfig.linux6_1().toBuilder().checkVermagic(false).build()
                                : KernelConfig.forVermagic(vermagic);
        Kernel.Builder builder = Kernel.builder(architecture).config(config);
        if (symvers != null) {
            builder.symbols(ModuleSymvers.read(symvers).symbols(architecture, config)).strict();
        }
        return builder.build();
    }

    private KernelConfig ofRelease(String name) {
        try {
            return KernelConfig.forRelease(name);
        } catch (IllegalArgumentException e) {
            throw new ParameterException(
                    spec.commandLine(),
                    "Invalid value for option '--release': " + e.getMessage(),
                    e);
        }
    }

    private static JsonArray refusals(List<Outcome> outcomes) {
        JsonArray refusals = new JsonArray();
        for (Outcome outcome : outcomes) {
            LoadException refusal = outcome.refusal().orElse(null);
            if (refusal != null) {
                JsonObject entry = new JsonObject();
                entry.addProperty("path", outcome.path().toString());
                entry.addProperty("errno", refusal.errnoName());
                entry.addProperty("reason", refusal.getMessage());
                refusals.add(entry);
            }
        }
        return refusals;
    }

    private static String toText(JsonObject result) {
        StringBuilder text = new StringBuilder();
        line(text, "modules", count(result, "modules"));
        line(text, "loaded", count(result, "loaded"));
        line(text, "refused", count(result, "refused"));
        Map<String, Integer> byErrno = new TreeMap<>();
        result.getAsJsonArray("refusals")
                .forEach(
                        entry ->
                                byErrno.merge(
                                        entry.getAsJsonObject().get("errno").getAsString(),
                                        1,
                                        Integer::sum));
        byErrno.forEach((errno, count) -> line(text, "  " + errno, "%,d".formatted(count)));
        line(text, "relocations", count(result, "relocations"));
        line(text, "symbols resolved", count(result, "symbols_resolved"));
        line(text, "bytes of module memory", count(result, "bytes"));
        line(text, "seconds to read", number(result, "read_seconds"));
        line(text, "seconds to load", number(result, "load_seconds"));
        if (result.has("unloaded")) {
            String forced = count(result, "unloaded_by_force");
            line(
                    text,
                    "unloaded",
                    count(result, "unloaded") + " (" + forced + " without exit, by force)");
            line(text, "seconds to unload", number(result, "unload_seconds"));
            line(text, "regions left", count(result, "regions_left"));
        }
        result.getAsJsonArray("refusals")
                .forEach(
                        entry -> {
                            JsonObject refusal = entry.getAsJsonObject();
                            text.append(refusal.get("path").getAsString())
                                    .append(": ")
                                    .append(
                                            refusal.get("reason")
                                                    .getAsString()
                                                    .replace("\n", "\n  "))
                                    .append('\n');
                        });
        return text.toString().stripTrailing();
    }

    private static void line(StringBuilder text, String name, String value) {
        text.append("%-24s %s%n".formatted(name, value));
    }

    private static String count(JsonObject result, String name) {
        return String.format(Locale.ROOT, "%,d", result.get(name).getAsLong());
    }

    private static String number(JsonObject result, String name) {
        return String.format(Locale.ROOT, "%.3f", result.get(name).getAsDouble());
    }
}
