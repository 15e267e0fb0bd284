package io.github.koloader.elf;

import io.github.koloader.Kernel;
import io.github.koloader.LoadException;
import io.github.koloader.Module;
import io.github.koloader.image.ModuleImage;
import io.github.koloader.image.SymbolTable;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Collections;
import java.util.Deque;
import java.util.HashMap;
import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeSet;
import java.util.regex.Pattern;
import java.util.stream.Stream;

/**
 * All modules below a directory, such as {@code /lib/modules/RELEASE}, in an order in which they
 * can be loaded: what exports a symbol comes before what imports it, and otherwise by path.
 * Immutable.
 */
public final class ModuleTree {
    private static final Pattern MODULE = Pattern.compile(".*\\.ko(\\.(gz|xz|zst))?");
    private static final String EXPORT = "__ksymtab_";

    /**
     * A module file.
     *
     * @param path relative to the directory
     * @param image what is in it; empty if it is no module
     * @param refusal why not
     */
    public record Entry(Path path, Optional<ModuleImage> image, Optional<LoadException> refusal) {}

    /**
     * What came of loading a module.
     *
     * @param path relative to the directory
     * @param module the module, if it was loaded
     * @param refusal why not, if it was refused
     */
    public record Outcome(Path path, Optional<Module> module, Optional<LoadException> refusal) {}

    private final List<Entry> entries;

    private ModuleTree(List<Entry> entries) {
        this.entries = Collections.unmodifiableList(entries);
    }

    /**
     * Reads all files below a directory whose names end in {@code .ko}, {@code .ko.gz}, {@code
     * .ko.xz} or {@code .ko.zst}. The links {@code build} and {@code source} are not followed.
     *
     * @param directory where to look, at any depth
     * @param reader what reads them
     * @return the modules, those that the reader refuses included
     * @throws IOException if the directory or a file cannot be read
     */
    public static ModuleTree read(Path directory, KoReader reader) throws IOException {
        List<Entry> entries = new ArrayList<>();
        for (Path file : files(directory)) {
            Path relative = directory.relativize(file);
            try {
                entries.add(
                        new Entry(relative, Optional.of(reader.readImage(file)), Optional.empty()));
            } catch (LoadException e) {
                entries.add(new Entry(relative, Optional.empty(), Optional.of(e)));
            }
        }
        return new ModuleTree(inLoadOrder(entries));
    }

    /**
     * {@return the module files below a directory, by path}
     *
     * @param directory where to look, at any depth
     * @throws IOException if it cannot be read
     */
    public static List<Path> files(Path directory) throws IOException {
        try (Stream<Path> all = Files.walk(directory)) {
            return all.filter(file -> MODULE.matcher(file.getFileName().toString()).matches())
                    .filter(Files::isRegularFile)
                    .sorted()
                    .toList();
        }
    }

    /** {@return all files, exporters before importers} */
    public List<Entry> entries() {
        return entries;
    }

    private static List<Entry> inLoadOrder(List<Entry> entries) {
        Map<String, Integer> exporters = new HashMap<>();
        for (int i = 0; i < entries.size(); i++) {
            int index = i;
            entries.get(i).image().ifPresent(image -> addExports(image, index, exporters));
        }
        List<Entry> ordered = new ArrayList<>(entries.size());
        boolean[] visited = new boolean[entries.size()];
        for (int i = 0; i < visited.length; i++) {
            visit(i, entries, exporters, visited, ordered);
        }
        return ordered;
    }

    private static void addExports(ModuleImage image, int index, Map<String, Integer> exporters) {
        if (image.sectionIndex("__ksymtab") == 0 && image.sectionIndex("__ksymtab_gpl") == 0) {
            return;
        }
        SymbolTable symbols = image.symbols();
        for (int i = 1; i < symbols.count(); i++) {
            if (symbols.sectionIndex(i) != SymbolTable.UNDEF) {
                String name = symbols.name(i);
                if (name.startsWith(EXPORT)) {
                    exporters.putIfAbsent(name.substring(EXPORT.length()), index);
                }
            }
        }
    }

    /** Depth first, with a stack of its own: a chain of modules may be long. */
    private static void visit(
            int root,
            List<Entry> entries,
            Map<String, Integer> exporters,
            boolean[] visited,
            List<Entry> ordered) {
        if (visited[root]) {
            return;
        }
        visited[root] = true;
        Deque<Integer> path = new ArrayDeque<>();
        Deque<Iterator<Integer>> open = new ArrayDeque<>();
        path.push(root);
        open.push(dependencies(entries.get(root), exporters));
        while (!path.isEmpty()) {
            if (!open.element().hasNext()) {
                ordered.add(entries.get(path.pop()));
                open.pop();
                continue;
            }
            int next = open.element().next();
            if (!visited[next]) {
                visited[next] = true;
                path.push(next);
                open.push(dependencies(entries.get(next), exporters));
            }
        }
    }

    /** Indexes of the modules whose exports a module imports. */
    private static Iterator<Integer> dependencies(Entry entry, Map<String, Integer> exporters) {
        Set<Integer> found = new TreeSet<>();
        if (entry.image().isPresent()) {
            SymbolTable symbols = entry.image().get().symbols();
            for (int i = 1; i < symbols.count(); i++) {
                Integer exporter =
                        symbols.sectionIndex(i) == SymbolTable.UNDEF
                                ? exporters.get(symbols.name(i))
                                : null;
                if (exporter != null) {
                    found.add(exporter);
                }
            }
        }
        return found.iterator();
    }

    /**
     * Loads all modules into a kernel, in order; one that is refused does not keep the others from
     * being tried.
     *
     * @param kernel where to load them
     * @return what came of each, in the order of {@link #entries()}
     */
    public List<Outcome> loadInto(Kernel kernel) {
        List<Outcome> outcomes = new ArrayList<>(entries.size());
        for (Entry entry : entries) {
            outcomes.add(
                    entry.image()
                            .map(image -> load(kernel, entry.path(), image))
                            .orElseGet(
                                    () ->
                                            new Outcome(
                                                    entry.path(),
                                                    Optional.empty(),
                                                    entry.refusal())));
        }
        return outcomes;
    }

    /**
     * What came of unloading modules.
     *
     * @param unloaded how many are gone
     * @param forced how many of them only by force, because they have init but no exit
     * @param refused those that are still there, with the reason
     */
    public record Unloading(int unloaded, int forced, Map<String, LoadException> refused) {}

    /**
     * Unloads all modules of a kernel, newest first. Permanent ones (init without exit) are
     * unloaded by force.
     *
     * @param kernel whose modules
     * @return how many are gone, and which are not
     * @see Kernel#forceUnload
     */
    public static Unloading unloadAll(Kernel kernel) {
        int unloaded = 0;
        int forced = 0;
        Map<String, LoadException> refused = new LinkedHashMap<>();
        for (Module module : kernel.modules()) {
            boolean permanent = module.init().isPresent() && module.exit().isEmpty();
            try {
                if (permanent) {
                    kernel.forceUnload(module.name());
                    forced++;
                } else {
                    kernel.unload(module.name());
                }
                unloaded++;
            } catch (LoadException e) {
                refused.put(module.name(), e);
            }
        }
        return new Unloading(unloaded, forced, refused);
    }

    private static Outcome load(Kernel kernel, Path path, ModuleImage image) {
        try {
            return new Outcome(path, Optional.of(kernel.load(image, "")), Optional.empty());
        } catch (LoadException e) {
            return new Outcome(path, Optional.empty(), Optional.of(e));
        }
    }
}
