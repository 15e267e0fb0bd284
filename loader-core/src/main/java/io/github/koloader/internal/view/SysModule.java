package io.github.koloader.internal.view;

import static java.nio.charset.StandardCharsets.ISO_8859_1;

import io.github.koloader.BuiltInModule;
import io.github.koloader.Errno;
import io.github.koloader.LoadException;
import io.github.koloader.ModuleParameter;
import io.github.koloader.SysfsTree;
import io.github.koloader.Viewer;
import io.github.koloader.image.Bytes;
import io.github.koloader.internal.KernelState;
import io.github.koloader.internal.LoadedModule;
import io.github.koloader.internal.LoadedModule.Sysfs;
import io.github.koloader.internal.Placement;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;

/**
 * {@code /sys/module}. Nothing of it is kept: what a path names is found when somebody looks.
 *
 * @kernel kernel/module/sysfs.c; kernel/params.c, module_kset
 */
public final class SysModule implements SysfsTree {
    /** What is at a path: a directory has children, a link a target, a file contents. */
    private record Node(
            Entry entry, Supplier<List<Node>> children, Supplier<Bytes> contents, String target) {}

    private static final Supplier<List<Node>> NO_CHILDREN = List::of;

    private final KernelState kernel;
    private final Viewer viewer;
    private final int wordSize;
    private final long page;

    /** Nodes by path, during a copy; otherwise {@code null}. */
    private @Nullable Map<String, Node> listed;

    /** The tree of a kernel as somebody sees it. */
    public SysModule(KernelState kernel, Viewer viewer) {
        this.kernel = kernel;
        this.viewer = viewer;
        this.wordSize = kernel.architecture.encoding().wordSize();
        this.page = kernel.architecture.pageSize();
    }

    /** The name of a module's directory: a slash cannot be part of it. */
    public static String directoryName(String module) {
        return module.replace('/', '!');
    }

    @Override
    public Optional<Entry> entry(String path) {
        return Optional.ofNullable(find(path)).map(Node::entry);
    }

    @Override
    public List<Entry> list(String path) {
        Node node = existing(path);
        if (node.entry.kind() == Kind.LINK) {
            node = existing(followed(path, node));
        }
        if (node.entry.kind() != Kind.DIRECTORY) {
            throw LoadException.silent(Errno.ENOTDIR, path + " is no directory");
        }
        List<Entry> entries = new ArrayList<>();
        for (Node child : node.children.get()) {
            entries.add(child.entry);
            if (listed != null) {
                listed.putIfAbsent(child.entry.path(), child);
            }
        }
        return List.copyOf(entries);
    }

    @Override
    public Bytes read(String path) {
        Node node = existing(path);
        if (node.entry.kind() != Kind.FILE) {
            throw LoadException.silent(Errno.EISDIR, path + " is a directory");
        }
        int readable = viewer == Viewer.ROOT ? 0444 : 0004;
        if ((node.entry.permissions() & readable) == 0) {
            throw LoadException.silent(Errno.EACCES, path + " may not be read");
        }
        return node.contents.get();
    }

    @Override
    public String target(String path) {
        Node node = existing(path);
        if (node.entry.kind() != Kind.LINK) {
            throw LoadException.silent(Errno.EINVAL, path + " is no link");
        }
        return node.target;
    }

    private Node existing(String path) {
        Node node = find(path);
        if (node == null) {
            throw LoadException.silent(Errno.ENOENT, "there is no " + path);
        }
        return node;
    }

    /** Keeps what each directory has while it is copied: it is not made again for each child. */
    @Override
    public void copyTo(Path directory) throws IOException {
        Map<String, Node> outer = listed;
        listed = new HashMap<>();
        try {
            SysfsTree.super.copyTo(directory);
        } finally {
            listed = outer;
        }
    }

    private @Nullable Node find(String path) {
        Node known = listed == null ? null : listed.get(path);
        if (known != null) {
            return known;
        }
        if (path.isEmpty()) {
            return directory("", this::modules);
        }
        String[] names = path.split("/", -1);
        Node node = module(names[0]);
        for (int i = 1; i < names.length && node != null; i++) {
            if (node.entry.kind() == Kind.LINK) {
                node = find(followed(node.entry.path(), node));
            }
            node = node == null ? null : child(node, names[i]);
        }
        return node;
    }

    private static @Nullable Node child(Node directory, String name) {
        String path = directory.entry.path() + "/" + name;
        for (Node child : directory.children.get()) {
            if (child.entry.path().equals(path)) {
                return child;
            }
        }
        return null;
    }

    /** Where a link leads: all of them lead to a module. */
    private static String followed(String path, Node link) {
        return link.target.isEmpty()
                ? path
                : link.target.substring(link.target.lastIndexOf('/') + 1);
    }

    private static Bytes noContents() {
        return Bytes.EMPTY;
    }

    private static Node directory(String path, Supplier<List<Node>> children) {
        return new Node(
                new Entry(path, Kind.DIRECTORY, 0755, 0), children, SysModule::noContents, "");
    }

    private static Node file(String path, int permissions, long size, Supplier<Bytes> contents) {
        return new Node(new Entry(path, Kind.FILE, permissions, size), NO_CHILDREN, contents, "");
    }

    private Node text(String path, Supplier<String> contents) {
        return file(path, 0444, page, () -> latin1(contents.get()));
    }

    private static Bytes latin1(String text) {
        return Bytes.wrap(text.getBytes(ISO_8859_1));
    }

    // ---- modules ----

    private List<Node> modules() {
        List<Node> nodes = new ArrayList<>();
        for (BuiltInModule builtIn : kernel.builtIns.values()) {
            if (builtIn.visible()) {
                nodes.add(builtIn(builtIn));
            }
        }
        for (LoadedModule module : kernel.modules.values()) {
            if (module.sysfs != Sysfs.NONE) {
                nodes.add(module(module));
            }
        }
        return nodes;
    }

    private @Nullable Node module(String name) {
        LoadedModule module = kernel.modules.get(name);
        if (module != null && module.sysfs != Sysfs.NONE && directoryName(name).equals(name)) {
            return module(module);
        }
        BuiltInModule builtIn = kernel.builtIns.get(name);
        if (builtIn != null && builtIn.visible()) {
            return builtIn(builtIn);
        }
        if (name.indexOf('!') >= 0) {
            for (Node node : modules()) {
                if (node.entry.path().equals(name)) {
                    return node;
                }
            }
        }
        return null;
    }

    private Node builtIn(BuiltInModule builtIn) {
        String path = directoryName(builtIn.name());
        return directory(
                path,
                () -> {
                    List<Node> nodes = new ArrayList<>();
                    nodes.add(uevent(path));
                    addParameters(path, builtIn.parameters(), nodes);
                    builtIn.version()
                            .ifPresent(
                                    version ->
                                            nodes.add(
                                                    text(path + "/version", () -> line(version))));
                    return nodes;
                });
    }

    private Node module(LoadedModule module) {
        String path = directoryName(module.name);
        return directory(path, () -> filesOf(module, path));
    }

    private List<Node> filesOf(LoadedModule module, String path) {
        List<Node> nodes = new ArrayList<>();
        nodes.add(directory(path + "/holders", () -> holders(module, path + "/holders")));
        addParameters(path, module.parameters, nodes);
        nodes.add(uevent(path));
        for (String tag : List.of("version", "srcversion")) {
            module.modinfo
                    .firstRaw(tag)
                    .ifPresent(value -> nodes.add(text(path + "/" + tag, () -> line(value))));
        }
        nodes.add(text(path + "/initstate", () -> module.state.text() + "\n"));
        nodes.add(text(path + "/coresize", () -> Memory.size(module, false) + "\n"));
        nodes.add(text(path + "/initsize", () -> Memory.size(module, true) + "\n"));
        nodes.add(
                text(
                        path + "/taint",
                        () -> TaintText.letters(module.taints, kernel.config) + "\n"));
        if (kernel.config.modUnload()) {
            nodes.add(text(path + "/refcnt", () -> module.references - 1 + "\n"));
        }
        if (module.sysfs == Sysfs.WITH_SECTIONS) {
            addSections(module, path, nodes);
        }
        return nodes;
    }

    private Node uevent(String path) {
        return file(path + "/uevent", 0200, page, SysModule::noContents);
    }

    /** A line as it fits into a page. */
    private String line(String value) {
        String line = value + "\n";
        return line.length() < page ? line : line.substring(0, (int) page - 1);
    }

    private List<Node> holders(LoadedModule module, String path) {
        List<Node> nodes = new ArrayList<>();
        for (LoadedModule user : module.users) {
            if (user.sysfs != Sysfs.NONE) {
                String name = directoryName(user.name);
                nodes.add(
                        new Node(
                                new Entry(path + "/" + name, Kind.LINK, 0777, 0),
                                NO_CHILDREN,
                                SysModule::noContents,
                                "../../" + name));
            }
        }
        return nodes;
    }

    private void addParameters(String path, List<ModuleParameter> parameters, List<Node> nodes) {
        if (parameters.stream().anyMatch(parameter -> parameter.permissions() != 0)) {
            String directory = path + "/parameters";
            nodes.add(directory(directory, () -> parameters(directory, parameters)));
        }
    }

    private List<Node> parameters(String path, List<ModuleParameter> parameters) {
        List<Node> nodes = new ArrayList<>();
        for (ModuleParameter parameter : parameters) {
            if (parameter.permissions() != 0) {
                nodes.add(
                        file(
                                path + "/" + parameter.name(),
                                parameter.permissions() & 0777,
                                page,
                                () -> latin1(parameter.read())));
            }
        }
        return nodes;
    }

    // ---- sections ----

    private void addSections(LoadedModule module, String path, List<Node> nodes) {
        String directory = path + "/sections";
        nodes.add(directory(directory, () -> sections(module, directory)));
        Placement placement = module.placement;
        for (int i = 1; i < placement.count(); i++) {
            if (placement.isVisible(i) && placement.isNote(i)) {
                nodes.add(directory(path + "/notes", () -> notes(module, path + "/notes")));
                break;
            }
        }
    }

    private List<Node> sections(LoadedModule module, String path) {
        boolean binary = kernel.config.atLeast(5, 8);
        long size = binary ? 3 + 2L * wordSize : page;
        int permissions = kernel.config.atLeast(4, 15) ? 0400 : 0444;
        List<Node> nodes = new ArrayList<>();
        Placement placement = module.placement;
        for (int i = 1; i < placement.count(); i++) {
            if (placement.isVisible(i)) {
                long address = viewer == Viewer.ROOT ? placement.address(i) : 0;
                nodes.add(
                        file(
                                path + "/" + placement.name(i),
                                permissions,
                                size,
                                () -> latin1("0x" + Memory.hex(address, wordSize) + "\n")));
            }
        }
        return nodes;
    }

    private List<Node> notes(LoadedModule module, String path) {
        List<Node> nodes = new ArrayList<>();
        Placement placement = module.placement;
        for (int i = 1; i < placement.count(); i++) {
            if (placement.isVisible(i) && placement.isNote(i)) {
                int section = i;
                nodes.add(
                        file(
                                path + "/" + placement.name(i),
                                0444,
                                placement.size(i),
                                () -> note(placement, section)));
            }
        }
        return nodes;
    }

    /** The bytes of a note; of one that was dropped with init Linux reads whatever is there now. */
    private static Bytes note(Placement placement, int section) {
        Placement.PlacedBlock block = placement.blockOf(section);
        if (!block.present) {
            throw LoadException.silent(
                    Errno.EFAULT, "the memory of " + placement.name(section) + " is gone");
        }
        int start = placement.start(section);
        return Bytes.wrap(
                Arrays.copyOfRange(block.array, start, start + (int) placement.size(section)));
    }
}
