package io.github.koloader;

import static java.nio.charset.StandardCharsets.ISO_8859_1;

import io.github.koloader.arch.TestArchitecture;
import io.github.koloader.image.Bytes;
import io.github.koloader.image.Encoding;
import io.github.koloader.image.ImageBuilder;
import io.github.koloader.image.ModuleImage;
import io.github.koloader.image.Relocation;
import io.github.koloader.image.Section;
import io.github.koloader.image.SectionFlags;
import io.github.koloader.image.Symbol;
import io.github.koloader.memory.Address;
import java.io.ByteArrayOutputStream;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/**
 * A module {@code m} with parameters, for the test machine, with tables as 3.10 or 6.1 has them.
 */
public final class ParameterModule {
    /** Flags of {@code struct kernel_param}. */
    public static final int UNSAFE = 1;

    /** See {@link #UNSAFE}. */
    public static final int HARDWARE = 2;

    private static final int VARIABLES = 4096;

    private final TestArchitecture architecture;
    private final KernelConfig config;
    private final int word;
    private final ImageBuilder image;
    private final Map<String, Integer> undefined = new HashMap<>();
    private final Blob rodata = new Blob();
    private final Blob table = new Blob();
    private final int dataSymbol;
    private final int rodataSection;
    private final int rodataSymbol;
    private final int textSymbol;
    private final int text;
    private int variables;
    private int functions;
    private String tableName = "__param";

    /** Bytes with pointers in them. */
    private final class Blob {
        private final ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        private final List<Relocation> pointers = new ArrayList<>();

        int align() {
            while (bytes.size() % 8 != 0) {
                bytes.write(0);
            }
            return bytes.size();
        }

        void number(long value, int size) {
            boolean bigEndian = architecture.encoding().bigEndian();
            for (int i = 0; i < size; i++) {
                bytes.write((int) (value >>> 8 * (bigEndian ? size - 1 - i : i)));
            }
        }

        /** A pointer into a symbol; symbol 0 makes it a number. */
        void pointer(int symbol, long addend) {
            if (symbol != 0) {
                pointers.add(new Relocation(bytes.size(), architecture.word(), symbol, addend));
            }
            number(symbol == 0 ? addend : 0, word);
        }
    }

    /** A module without parameters, for a kernel of that version. */
    public ParameterModule(Encoding encoding, KernelConfig config) {
        this.architecture = new TestArchitecture(encoding);
        this.config = config.toBuilder().kallsymsAll(true).build(); // variables keep names
        this.word = encoding.wordSize();
        this.image =
                new ImageBuilder(TestArchitecture.MACHINE, encoding, true)
                        .name("m")
                        .modinfo("license", "GPL")
                        .modinfo("intree", "Y");
        int data = image.section(Images.data(".data", VARIABLES));
        this.dataSymbol = image.symbol(Symbol.section(data));
        this.text = image.section(Images.text(256));
        this.textSymbol = image.symbol(Symbol.section(text));
        this.rodataSection = image.section(Images.rodata(".rodata"));
        this.rodataSymbol = image.symbol(Symbol.section(rodataSection));
        rodata.number(0, 8);
    }

    /** A 64-bit little-endian one for 6.1. */
    public static ParameterModule plain() {
        return new ParameterModule(Encoding.ELF64_LSB, Images.quiet6_1());
    }

    // ---- parts ----

    /** Room in {@code .data}, with a symbol; its offset. */
    public int variable(String name, int size) {
        int at = variables;
        variables += size + 7 & -8;
        if (variables > VARIABLES) {
            throw new IllegalStateException("too many variables");
        }
        image.symbol(Symbol.object(name, 1, at, size));
        return at;
    }

    private int function(String name) {
        int at = functions;
        functions += 16;
        image.symbol(Symbol.function(name, text, at, 16));
        return at;
    }

    private int text(String text) {
        int at = rodata.bytes.size();
        rodata.bytes.writeBytes((text + '\0').getBytes(ISO_8859_1));
        return at;
    }

    private int symbol(String name) {
        return undefined.computeIfAbsent(name, key -> image.symbol(Symbol.undefined(key)));
    }

    /** An entry of the table, word by word; symbol 0 makes a pointer a number. */
    private ParameterModule entry(
            int nameSymbol,
            long name,
            int opsSymbol,
            long ops,
            int permissions,
            int flags,
            int argumentSymbol,
            long argument) {
        boolean old = !config.atLeast(3, 17);
        table.pointer(nameSymbol, name);
        if (config.atLeast(4, 2)) {
            table.pointer(0, 0);
        }
        table.pointer(opsSymbol, ops);
        table.number(permissions, 2);
        if (old) {
            table.number(-1, 2);
        } else {
            table.number(-1, 1);
            table.number(flags, 1);
        }
        if (word == 8) {
            table.number(0, 4);
        }
        table.pointer(argumentSymbol, argument);
        return this;
    }

    /** A parameter whose variable has its name. */
    public ParameterModule standard(String name, String type, int permissions, int flags) {
        int size = type.equals("charp") || type.endsWith("long") ? 8 : 4;
        return entry(
                rodataSymbol,
                text(name),
                symbol("param_ops_" + type),
                0,
                permissions,
                flags,
                dataSymbol,
                variable(name, size));
    }

    /** As {@link #standard(String, String, int, int)}, writable and without flags. */
    public ParameterModule standard(String name, String type) {
        return standard(name, type, 0644, 0);
    }

    /** A string in {@code size} bytes. */
    public ParameterModule string(String name, int size) {
        int variable = variable(name, size);
        int at = rodata.align();
        rodata.number(size, 4);
        if (word == 8) {
            rodata.number(0, 4);
        }
        rodata.pointer(dataSymbol, variable);
        return entry(
                rodataSymbol, text(name), symbol("param_ops_string"), 0, 0644, 0, rodataSymbol, at);
    }

    /** An array of {@code max} elements, whose count is in {@code NAME_n}, or nowhere. */
    public ParameterModule array(String name, String type, int max, int size, boolean counted) {
        return array(name, symbol("param_ops_" + type), 0, max, size, counted);
    }

    /** An array whose elements are set by functions {@code NAME_set}, {@code NAME_get}. */
    public ParameterModule callbackArray(String name, int max, int size) {
        int ops = operations(0, true, name + "_set", name + "_get", name + "_free");
        return array(name, rodataSymbol, ops, max, size, true);
    }

    private ParameterModule array(
            String name, int opsSymbol, long ops, int max, int size, boolean counted) {
        int elements = variable(name, Math.max(1, max * size));
        int count = variable(name + "_n", 4);
        int at = rodata.align();
        rodata.number(max, 4);
        rodata.number(size, 4);
        rodata.pointer(counted ? dataSymbol : 0, counted ? count : 0);
        rodata.pointer(opsSymbol, ops);
        rodata.pointer(dataSymbol, elements);
        return entry(
                rodataSymbol, text(name), symbol("param_array_ops"), 0, 0644, 0, rodataSymbol, at);
    }

    /** An array each of whose elements is the array itself. */
    public ParameterModule arrayInItself(String name) {
        int at = rodata.align();
        rodata.number(4, 4);
        rodata.number(0, 4);
        rodata.pointer(0, 0);
        rodata.pointer(symbol("param_array_ops"), 0);
        rodata.pointer(rodataSymbol, at);
        return entry(
                rodataSymbol, text(name), symbol("param_array_ops"), 0, 0644, 0, rodataSymbol, at);
    }

    /** Arrays of {@code max} arrays each, all in one place; the innermost one is empty. */
    public ParameterModule arraysOfArrays(String name, int levels, int max) {
        int at = 0;
        for (int level = 0; level <= levels; level++) {
            int inner = at;
            at = rodata.align();
            rodata.number(level == 0 ? 0 : max, 4);
            rodata.number(0, 4);
            rodata.pointer(0, 0);
            rodata.pointer(symbol(level == 0 ? "param_ops_charp" : "param_array_ops"), 0);
            rodata.pointer(rodataSymbol, inner);
        }
        return entry(
                rodataSymbol, text(name), symbol("param_array_ops"), 0, 0644, 0, rodataSymbol, at);
    }

    /** An array with a count at a wild address. */
    public ParameterModule arrayCountedAt(String name, long countAddress) {
        int at = rodata.align();
        rodata.number(4, 4);
        rodata.number(4, 4);
        rodata.pointer(0, countAddress);
        rodata.pointer(symbol("param_ops_int"), 0);
        rodata.pointer(dataSymbol, variable(name, 16));
        return entry(
                rodataSymbol, text(name), symbol("param_array_ops"), 0, 0644, 0, rodataSymbol, at);
    }

    /** Offset of a structure of operations; a name that begins with param_ is the kernel's. */
    private int operations(int flags, boolean own, String... names) {
        int at = rodata.align();
        if (config.atLeast(3, 11)) {
            rodata.number(flags, 4);
            if (word == 8) {
                rodata.number(0, 4);
            }
        }
        for (String name : names) {
            if (name.isEmpty()) {
                rodata.pointer(0, 0);
            } else if (name.startsWith("param_")) {
                rodata.pointer(symbol(name), 0);
            } else {
                rodata.pointer(textSymbol, function(name));
            }
        }
        return own ? at : -1;
    }

    /** A parameter with operations of its own; empty names are NULL. */
    public ParameterModule callback(String name, int flags, String set, String get, String free) {
        int ops = operations(flags, true, set, get, free);
        return entry(
                rodataSymbol,
                text(name),
                rodataSymbol,
                ops,
                0644,
                0,
                dataSymbol,
                variable(name, 8));
    }

    /** An entry of numbers. */
    public ParameterModule wild(long name, long operations, long argument) {
        return entry(0, name, 0, operations, 0644, 0, 0, argument);
    }

    /** An entry with a name, whose other pointers are numbers. */
    public ParameterModule wild(String name, long operations, long argument) {
        return entry(rodataSymbol, text(name), 0, operations, 0644, 0, 0, argument);
    }

    /** An int at that address. */
    public ParameterModule integerAt(String name, long address) {
        return entry(rodataSymbol, text(name), symbol("param_ops_int"), 0, 0644, 0, 0, address);
    }

    /** An int in read-only memory. */
    public ParameterModule readOnlyInteger(String name) {
        return entry(
                rodataSymbol, text(name), symbol("param_ops_int"), 0, 0644, 0, rodataSymbol, 0);
    }

    /** The table's section gets another name. */
    public ParameterModule tableNamed(String name) {
        tableName = name;
        return this;
    }

    /** The module gets an init function, {@code init_module}. */
    public ParameterModule withInit() {
        int init = image.section(Images.code(".init.text", 16));
        image.init(init, 0, architecture.word());
        return this;
    }

    // ---- whole ----

    /** The image. */
    public ModuleImage image() {
        int section =
                image.section(
                        Section.progbits(
                                tableName,
                                SectionFlags.ALLOC,
                                8,
                                Bytes.copyOf(table.bytes.toByteArray())));
        image.relocate(section, table.pointers.toArray(Relocation[]::new));
        image.relocate(rodataSection, rodata.pointers.toArray(Relocation[]::new));
        ModuleImage made = image.build();
        Section empty = made.section(rodataSection);
        return Images.withSection(
                made,
                rodataSection,
                Section.progbits(
                        empty.name(),
                        SectionFlags.ALLOC,
                        8,
                        Bytes.copyOf(rodata.bytes.toByteArray())));
    }

    /** A kernel of the version and machine. */
    public Kernel.Builder kernel() {
        return Kernel.builder(architecture).config(config);
    }

    /** A kernel that runs functions as Java. */
    public Kernel kernel(Executor executor) {
        return kernel().executor(executor).build();
    }

    // ---- a loaded one ----

    /** The parameter of that name. */
    public static ModuleParameter parameter(Module module, String name) {
        return module.parameters().stream()
                .filter(parameter -> parameter.name().equals(name))
                .findFirst()
                .orElseThrow();
    }

    /** What its file shows, without the newline. */
    public static String shown(Module module, String name) {
        String text = parameter(module, name).read();
        return text.endsWith("\n") ? text.substring(0, text.length() - 1) : text;
    }

    /** Address of a variable. */
    public static Address variable(Module module, String name) {
        return module.addressOf(name).orElseThrow();
    }
}
