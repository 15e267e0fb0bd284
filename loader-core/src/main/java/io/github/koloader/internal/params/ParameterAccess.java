package io.github.koloader.internal.params;

import static java.nio.charset.StandardCharsets.ISO_8859_1;

import io.github.koloader.Errno;
import io.github.koloader.Executor.Call;
import io.github.koloader.Executor.Phase;
import io.github.koloader.FaultPoint;
import io.github.koloader.KernelConfig;
import io.github.koloader.LogLine;
import io.github.koloader.ParameterType;
import io.github.koloader.Taint;
import io.github.koloader.internal.KernelState;
import io.github.koloader.internal.LoadedModule;
import io.github.koloader.internal.Warnings;
import io.github.koloader.internal.params.Operations.Array;
import io.github.koloader.internal.params.Operations.Function;
import io.github.koloader.internal.params.Operations.OfModule;
import io.github.koloader.internal.params.Operations.Standard;
import io.github.koloader.internal.params.ParameterHeap.Block;
import io.github.koloader.memory.Address;
import io.github.koloader.memory.AddressFaultException;
import io.github.koloader.memory.AddressSpace;
import java.util.List;
import java.util.Locale;
import java.util.function.Consumer;
import java.util.function.LongConsumer;
import org.jspecify.annotations.Nullable;

/**
 * Sets, shows and frees parameters of one module, or of built-in code, in memory as it is now. A
 * pointer that leads nowhere is an {@link AddressFaultException}, where Linux would oops.
 *
 * <p>Results are 0 or an errno as functions of the kernel give it, negative.
 *
 * @kernel kernel/params.c
 */
public final class ParameterAccess {
    /** Bytes of a page, which a value that is shown, or written at once, has to fit into. */
    static final int PAGE = 4096;

    private static final int LONGEST_COPY = 1024;
    private static final int LONGEST_NAME = 1024;

    /** Elements whose functions are called: a count that is wild is not followed for ever. */
    private static final int MOST_ELEMENTS = 1 << 16;

    /** Elements that are freed for all parameters of a module together. */
    private static final int MOST_FREED = 1 << 20;

    /** Arrays of arrays; a kernel's stack has room for more, but not for an array in itself. */
    private static final int DEEPEST = 8;

    private static final int UNSAFE = 1;
    private static final int HARDWARE = 2;
    private static final int VALUE_OPTIONAL = 1;

    final KernelState kernel;
    final @Nullable LoadedModule module;
    final TableLayout layout;
    private final KernelConfig config;
    private final AddressSpace memory;
    private final int wordSize;
    private final long wordMask;
    private @Nullable KernelFunctions functions;

    /** Elements that what is going on may still visit: arrays of arrays are a product. */
    private int elementsLeft;

    private int freesLeft = MOST_FREED;

    /** Access to the parameters of a module, or of what is built in. */
    public ParameterAccess(KernelState kernel, @Nullable LoadedModule module) {
        this.kernel = kernel;
        this.module = module;
        this.config = kernel.config;
        this.memory = kernel.memory;
        this.wordSize = kernel.architecture.encoding().wordSize();
        this.wordMask = wordSize == 8 ? -1L : 0xffff_ffffL;
        this.layout = TableLayout.of(config, wordSize);
    }

    /**
     * A parameter.
     *
     * @param entry address of its {@code struct kernel_param}
     * @param name address of its name
     * @param argument address of its variable, or of what describes it
     * @param depth how many arrays it is an element of
     */
    record Target(long entry, long name, long argument, int depth) {}

    /** What the structure at that address describes. */
    Target target(long entry) {
        return new Target(entry, word(entry), word(entry + layout.argument()), 0);
    }

    // ---- the table ----

    long word(long address) {
        return memory.readWord(new Address(address));
    }

    private long unsignedInt(long address) {
        return Integer.toUnsignedLong(memory.readInt(new Address(address)));
    }

    int permissions(long entry) {
        return memory.readShort(new Address(entry + layout.permissions()));
    }

    private int flags(long entry) {
        return layout.flags() < 0 ? 0 : memory.readByte(new Address(entry + layout.flags()));
    }

    String text(long address) {
        return memory.readText(new Address(address), LONGEST_NAME);
    }

    /**
     * Looks at whether the name at that address is that one, if dashes are underscores.
     *
     * @param end index of the NUL that ends {@code name}
     * @return how many bytes are the same: with the NUL if all of them are
     */
    int sameBytes(long address, TextBuffer text, int name, int end) {
        int same = 0;
        while (name + same <= end
                && fold(memory.readByte(new Address(address + same)))
                        == fold(text.bytes[name + same] & 0xff)) {
            same++;
        }
        return same;
    }

    /**
     * The text at that address, with underscores for dashes, of so many bytes at the most.
     *
     * @param looked is told how many bytes were looked at, even if the next one is a fault
     */
    String folded(long address, int limit, LongConsumer looked) {
        StringBuilder text = new StringBuilder();
        try {
            while (text.length() < limit) {
                int next = memory.readByte(new Address(address + text.length()));
                if (next == 0) {
                    break;
                }
                text.append((char) fold(next));
            }
        } finally {
            looked.accept(text.length() + 1L);
        }
        return text.toString();
    }

    /** A dash and an underscore are the same in a name. */
    static int fold(int character) {
        return character == '-' ? '_' : character;
    }

    /** The operations at that address: the kernel's own, or a structure of a module. */
    Operations operations(long address) {
        if (functions == null) {
            functions = new KernelFunctions(kernel);
        }
        Operations known = functions.operations(address);
        if (known != null) {
            return known;
        }
        long fields = address + (layout.operationsHaveFlags() ? wordSize : 0);
        Function set = functions.function(word(fields));
        boolean valueOptional =
                layout.operationsHaveFlags()
                        ? (memory.readInt(new Address(address)) & VALUE_OPTIONAL) != 0
                        : takesNoValueByItself(set);
        return new Operations(
                valueOptional,
                set,
                functions.function(word(fields + wordSize)),
                functions.function(word(fields + 2L * wordSize)));
    }

    private static boolean takesNoValueByItself(@Nullable Function set) {
        return set instanceof Standard standard
                && (standard.type() == ParameterType.BOOL || standard.type() == ParameterType.BINT);
    }

    // ---- set ----

    /**
     * Sets the parameter of an entry.
     *
     * @param value index of the value, or −1
     * @kernel kernel/params.c, parse_one()
     */
    int set(long entry, TextBuffer text, int value, Consumer<LogLine> says) {
        elementsLeft = MOST_ELEMENTS;
        Operations operations = operations(word(entry + layout.operations()));
        boolean valueOptional =
                operations.valueOptional()
                        && (layout.operationsHaveFlags() || takesNoValueByItself(operations.set()));
        if (value < 0 && !valueOptional) {
            return -Errno.EINVAL.number();
        }
        if (operations.set() == null) {
            return -Errno.EPERM.number();
        }
        Target target = target(entry);
        int flags = flags(entry);
        if ((flags & HARDWARE) != 0 && config.lockdown() && config.atLeast(4, 12)) {
            return -Errno.EPERM.number();
        }
        if ((flags & UNSAFE) != 0) {
            kernel.log.add(Warnings.dangerousOption(text(target.name())));
            kernel.taint(Taint.USER);
        }
        return set(operations.set(), target, text, value, says);
    }

    private int set(
            @Nullable Function function,
            Target target,
            TextBuffer text,
            int value,
            Consumer<LogLine> says) {
        if (function == null) {
            return -Errno.EPERM.number();
        }
        if (function instanceof Standard standard) {
            return setStandard(standard.type(), target, text.textOrNull(value), says);
        }
        if (function instanceof Array) {
            return setArray(target, text, value, says);
        }
        return callSetter(((OfModule) function).address(), target, text, value);
    }

    private int callSetter(long function, Target target, TextBuffer text, int value) {
        ParameterHeap heap = heap();
        long address = value < 0 ? 0 : text.address(heap, value);
        if (value >= 0 && address == 0) {
            return -Errno.ENOMEM.number();
        }
        return withEntry(target, entry -> call(Phase.SET_PARAMETER, function, address, entry));
    }

    /** What is done with the address of a {@code struct kernel_param}. */
    private interface WithEntry {
        int call(long entry);
    }

    /** Elements of arrays have a structure of their own, as on the kernel's stack. */
    private int withEntry(Target target, WithEntry action) {
        if (target.depth() == 0) {
            return action.call(target.entry());
        }
        Block copy =
                heap().map(memory.read(new Address(target.entry()), layout.entrySize()), false);
        if (copy == null) {
            return -Errno.ENOMEM.number();
        }
        try {
            memory.writeWord(new Address(copy.address() + layout.argument()), target.argument());
            return action.call(copy.address());
        } finally {
            heap().free(copy);
        }
    }

    private int call(Phase phase, long function, long... arguments) {
        List<Address> addresses =
                java.util.Arrays.stream(arguments).mapToObj(Address::new).toList();
        LoadedModule owner = module;
        return kernel.executor.call(
                new Call(
                        kernel.kernel,
                        owner == null ? null : owner.facade,
                        phase,
                        new Address(function),
                        addresses));
    }

    /** As the kernel's {@code param_set_TYPE()}. */
    int setStandard(
            ParameterType type, Target target, @Nullable String value, Consumer<LogLine> says) {
        Address variable = new Address(target.argument());
        return switch (type) {
            case BYTE, SHORT, USHORT, INT, UINT, LONG, ULONG, ULLONG, HEXINT -> {
                int bits = type.bits(wordSize);
                Numbers.Parsed number =
                        Numbers.integer(
                                config, notNull(value), type.isSigned(), bits, 8 * wordSize);
                if (number.error() == 0) {
                    write(variable, number.value(), bits);
                }
                yield number.error();
            }
            case BOOL, INVBOOL, BINT, BOOL_ENABLE_ONLY -> {
                Numbers.Parsed parsed = Numbers.bool(config, value == null ? "1" : value);
                yield parsed.error() != 0
                        ? parsed.error()
                        : setBool(type, variable, parsed.value() != 0);
            }
            case CHARP -> setCopy(target, notNull(value), says);
            case STRING -> setString(target, notNull(value), says);
        };
    }

    private int setBool(ParameterType type, Address variable, boolean on) {
        if (type == ParameterType.BOOL_ENABLE_ONLY && !on) {
            return memory.readByte(variable) != 0 ? -Errno.EROFS.number() : 0;
        }
        boolean stored = on != (type == ParameterType.INVBOOL);
        write(variable, stored ? 1 : 0, type == ParameterType.BINT ? 32 : 8);
        return 0;
    }

    /** A setter that needs a value reads at NULL if it gets none. */
    private String notNull(@Nullable String value) {
        return value == null ? memory.readText(Address.NULL, LONGEST_NAME) : value;
    }

    private void write(Address variable, long number, int bits) {
        switch (bits) {
            case 8 -> memory.writeByte(variable, (int) number);
            case 16 -> memory.writeShort(variable, (int) number);
            case 32 -> memory.writeInt(variable, (int) number);
            default -> memory.writeLong(variable, number);
        }
    }

    private int setCopy(Target target, String value, Consumer<LogLine> says) {
        if (value.length() > LONGEST_COPY) {
            says.accept(Warnings.parameterTooLong(text(target.name())));
            return -Errno.ENOSPC.number();
        }
        byte[] bytes = java.util.Arrays.copyOf(value.getBytes(ISO_8859_1), value.length() + 1);
        Address variable = new Address(target.argument());
        long old = memory.readWord(variable);
        Errno fault = kernel.fault(FaultPoint.PARAMETER_MEMORY, owner());
        if (fault != null) {
            return -fault.number();
        }
        Block copy = heap().map(bytes, true);
        if (copy == null) {
            return -Errno.ENOMEM.number();
        }
        boolean written = false;
        try {
            memory.writeWord(variable, copy.address());
            written = true;
        } finally {
            if (!written) {
                heap().free(copy);
            }
        }
        heap().freeCopy(old);
        return 0;
    }

    private int setString(Target target, String value, Consumer<LogLine> says) {
        long room = unsignedInt(target.argument());
        if (value.length() + 1L > room) {
            says.accept(Warnings.parameterDoesNotFit(text(target.name()), (int) room - 1));
            return -Errno.ENOSPC.number();
        }
        memory.writeText(new Address(word(target.argument() + wordSize)), value);
        return 0;
    }

    // ---- arrays ----

    /** A {@code struct kparam_array}. */
    private record Elements(
            long max, long size, long count, long operations, long first, int depth) {
        Target at(Target array, long index, long mask) {
            return new Target(array.entry(), array.name(), first + index * size & mask, depth);
        }
    }

    private Elements elements(Target array) {
        if (array.depth() >= DEEPEST) {
            throw new WildParameterException("an array lies in itself");
        }
        long at = array.argument();
        return new Elements(
                unsignedInt(at),
                unsignedInt(at + 4),
                word(at + 8),
                word(at + 8 + wordSize),
                word(at + 8 + 2L * wordSize),
                array.depth() + 1);
    }

    private void visitElement() {
        if (--elementsLeft < 0) {
            throw new WildParameterException("arrays of arrays have too many elements");
        }
    }

    private int setArray(Target target, TextBuffer text, int value, Consumer<LogLine> says) {
        if (value < 0) {
            notNull(null);
        }
        Elements array = elements(target);
        Operations operations = operations(array.operations());
        long count = 0;
        writeCount(array, 0);
        int at = value;
        boolean more = true;
        for (long i = 0; more; i++) {
            count = readCount(array, count);
            if (count == array.max()) {
                says.accept(Warnings.tooManyElements(text(target.name()), (int) array.max()));
                return -Errno.EINVAL.number();
            }
            int end = at;
            while (text.bytes[end] != 0 && text.bytes[end] != ',') {
                end++;
            }
            more = text.bytes[end] == ',';
            text.bytes[end] = 0;
            if (array.depth() > 1) { // those of the outermost are no more than the text has
                visitElement();
            }
            Target element = array.at(target, i, wordMask);
            int result = set(operations.set(), element, text, at, says);
            if (result != 0) {
                return result;
            }
            at = end + 1;
            count = readCount(array, count) + 1 & 0xffff_ffffL;
            writeCount(array, count);
        }
        return 0;
    }

    private void writeCount(Elements array, long count) {
        if (array.count() != 0) {
            memory.writeInt(new Address(array.count()), (int) count);
        }
    }

    private long readCount(Elements array, long otherwise) {
        return array.count() == 0 ? otherwise : unsignedInt(array.count());
    }

    // ---- get ----

    /**
     * The value of an entry as its file shows it.
     *
     * @return the text, or an errno
     * @kernel kernel/params.c, param_attr_show()
     */
    Shown get(long entry) {
        elementsLeft = MOST_ELEMENTS;
        Operations operations = operations(word(entry + layout.operations()));
        Shown shown = get(operations.get(), target(entry));
        return shown.text.length() < PAGE
                ? shown
                : new Shown(shown.error, shown.text.substring(0, PAGE - 1));
    }

    /**
     * What a getter gave.
     *
     * @param error 0, or a negative errno
     * @param text what it wrote
     */
    record Shown(int error, String text) {
        private static Shown of(String text) {
            return new Shown(0, text);
        }

        private static Shown failed(int error) {
            return new Shown(error, "");
        }
    }

    private Shown get(@Nullable Function function, Target target) {
        if (function == null) {
            return Shown.failed(-Errno.EPERM.number());
        }
        if (function instanceof Standard standard) {
            return Shown.of(getStandard(standard.type(), target) + "\n");
        }
        return function instanceof Array
                ? getArray(target)
                : callGetter(((OfModule) function).address(), target);
    }

    private Shown callGetter(long function, Target target) {
        Block buffer = heap().map(new byte[PAGE], false);
        if (buffer == null) {
            return Shown.failed(-Errno.ENOMEM.number());
        }
        try {
            int result =
                    withEntry(
                            target,
                            entry -> call(Phase.GET_PARAMETER, function, buffer.address(), entry));
            if (result < 0) {
                return Shown.failed(result);
            }
            int length = Math.min(result, PAGE - 1);
            String text =
                    new String(memory.read(new Address(buffer.address()), length), ISO_8859_1);
            boolean addsNewline = length > 0 && !config.atLeast(4, 15);
            return Shown.of(addsNewline ? text + "\n" : text);
        } finally {
            heap().free(buffer);
        }
    }

    /** As the kernel's {@code param_get_TYPE()}, without the newline. */
    String getStandard(ParameterType type, Target target) {
        Address variable = new Address(target.argument());
        return switch (type) {
            case BYTE, SHORT, USHORT, INT, UINT, LONG, ULONG, ULLONG -> number(type, variable);
            case HEXINT -> String.format(Locale.ROOT, "0x%06x", memory.readInt(variable));
            case BINT -> String.valueOf(memory.readInt(variable));
            case BOOL, BOOL_ENABLE_ONLY -> memory.readByte(variable) != 0 ? "Y" : "N";
            case INVBOOL -> memory.readByte(variable) != 0 ? "N" : "Y";
            case CHARP -> pointedText(word(target.argument()));
            case STRING ->
                    memory.readText(new Address(word(target.argument() + wordSize)), PAGE - 2);
        };
    }

    private String number(ParameterType type, Address variable) {
        int bits = type.bits(wordSize);
        long number =
                switch (bits) {
                    case 8 -> memory.readByte(variable);
                    case 16 -> memory.readShort(variable);
                    case 32 -> Integer.toUnsignedLong(memory.readInt(variable));
                    default -> memory.readLong(variable);
                };
        if (!type.isSigned()) {
            return Long.toUnsignedString(number);
        }
        int unused = 64 - bits;
        return String.valueOf(number << unused >> unused);
    }

    /** What {@code %s} prints. */
    private String pointedText(long address) {
        if (address == 0) {
            return "(null)";
        }
        boolean error = Long.compareUnsigned(address, wordMask - PAGE + 1) > 0;
        if (error || Long.compareUnsigned(address, PAGE) < 0) {
            return config.atLeast(5, 2) ? "(efault)" : "(null)";
        }
        return memory.readText(new Address(address), PAGE - 2);
    }

    /** Elements are joined with commas, each in the place of the newline before it. */
    private Shown getArray(Target target) {
        Elements array = elements(target);
        Operations operations = operations(array.operations());
        long count = Math.min(readCount(array, array.max()), MOST_ELEMENTS);
        StringBuilder text = new StringBuilder();
        for (long i = 0; i < count && text.length() < PAGE; i++) {
            if (text.length() > 0) {
                text.setCharAt(text.length() - 1, ',');
            }
            visitElement();
            Shown element = get(operations.get(), array.at(target, i, wordMask));
            if (element.error() < 0) {
                return element;
            }
            text.append(element.text());
        }
        return Shown.of(text.toString());
    }

    // ---- free ----

    /** Frees what the setter of an entry has taken. */
    void free(long entry) {
        Function free = operations(word(entry + layout.operations())).free();
        if (free != null) {
            int most = Math.min(MOST_ELEMENTS, freesLeft);
            elementsLeft = most;
            free(free, target(entry));
            freesLeft -= most - elementsLeft;
        }
    }

    private void free(Function function, Target target) {
        if (function instanceof Standard) {
            if (hasHeap()) {
                heap().freeCopy(word(target.argument()));
            }
        } else if (function instanceof Array) {
            freeArray(target);
        } else {
            call(Phase.FREE_PARAMETER, ((OfModule) function).address(), target.argument());
        }
    }

    private void freeArray(Target target) {
        Elements array = elements(target);
        Function free = operations(array.operations()).free();
        if (free == null || free instanceof Standard && !hasHeap()) {
            return;
        }
        long count = Math.min(readCount(array, array.max()), MOST_ELEMENTS);
        for (long i = 0; i < count; i++) {
            visitElement();
            free(free, array.at(target, i, wordMask));
        }
    }

    /** Name of the module; empty for built-in code. */
    private String owner() {
        return module == null ? "" : module.name;
    }

    // ---- memory ----

    private boolean hasHeap() {
        return (module == null ? kernel.parameterHeap : module.parameterHeap) != null;
    }

    ParameterHeap heap() {
        if (module == null) {
            return kernel.heap();
        }
        if (module.parameterHeap == null) {
            module.parameterHeap = new ParameterHeap(kernel, module.name);
        }
        return module.parameterHeap;
    }

    // ---- for functions of modules that call the kernel's ----

    /**
     * As {@code param_set_TYPE(value, entry)}.
     *
     * @param value the text, or {@code null} for NULL
     */
    public int setAs(ParameterType type, @Nullable String value, Address entry) {
        return setStandard(type, target(entry.value()), value, kernel.log::add);
    }

    /** The text that {@code param_get_TYPE(buffer, entry)} writes. */
    public String getAs(ParameterType type, Address entry) {
        String text = getStandard(type, target(entry.value()));
        return config.atLeast(4, 15) ? text + "\n" : text;
    }

    /** The {@code arg} of the structure at that address. */
    public Address argumentOf(Address entry) {
        return new Address(word(entry.value() + layout.argument()));
    }
}
