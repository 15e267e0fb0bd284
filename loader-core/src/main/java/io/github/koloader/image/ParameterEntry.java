package io.github.koloader.image;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * One parameter as the file has it in {@code __param}, before relocation: what its pointers lead to
 * is told by the symbols of their relocations.
 *
 * @param name its name, as the module's source has it
 * @param ops symbol of its operations, such as {@code param_ops_int}; empty if there is none
 * @param argument symbol of the variable it sets, or of the structure that describes it; empty if
 *     it has no name
 * @param permissions mode of its file in sysfs, 0 for none
 * @param level −1, or the initcall level before which a built-in one is set
 * @param flags 1 unsafe, 2 hardware; 0 in kernels without flags
 * @kernel include/linux/moduleparam.h, struct kernel_param
 */
public record ParameterEntry(
        String name, String ops, String argument, int permissions, int level, int flags) {

    /** What a pointer of the table leads to. */
    private record Pointer(int symbol, long value) {}

    /**
     * Reads the table of an image.
     *
     * @param image the image
     * @return the entries, in the section's order; none if there is no such section
     */
    static List<ParameterEntry> read(ModuleImage image) {
        int index = image.allocatedSectionIndex("__param");
        if (index == 0) {
            return List.of();
        }
        Map<Long, Pointer> pointers = pointers(image, index);
        Bytes table = image.section(index).contents();
        int word = image.encoding().wordSize();
        boolean withModule = pointsToModule(image, pointers.get((long) word));
        int ops = withModule ? 2 * word : word;
        int numbers = ops + word;
        int argument = numbers + (word == 8 ? 8 : 4);
        int entrySize = argument + word;
        List<ParameterEntry> entries = new ArrayList<>();
        for (int at = 0; at + entrySize <= table.size(); at += entrySize) {
            int level = table.get(at + numbers + 2);
            int flags = table.get(at + numbers + 3) & 0xff;
            if (!withModule) { // before flags, level was 16 bits
                level = (short) table.unsignedShort(at + numbers + 2, image.encoding());
                flags = 0;
            }
            entries.add(
                    new ParameterEntry(
                            text(image, pointers.get((long) at)),
                            symbol(image, pointers.get((long) at + ops)),
                            symbol(image, pointers.get((long) at + argument)),
                            table.unsignedShort(at + numbers, image.encoding()),
                            level,
                            flags));
        }
        return List.copyOf(entries);
    }

    private static Map<Long, Pointer> pointers(ModuleImage image, int section) {
        Map<Long, Pointer> pointers = new HashMap<>();
        SymbolTable symbols = image.symbols();
        Bytes contents = image.section(section).contents();
        for (RelocationTable table : image.relocationsFor(section)) {
            for (int i = 0; i < table.count(); i++) {
                int symbol = table.symbolIndex(i);
                long offset = table.offset(i);
                boolean inside =
                        offset >= 0 && offset <= contents.size() - image.encoding().wordSize();
                if (symbol >= 0 && symbol < symbols.count() && inside) {
                    long addend =
                            table.hasAddends()
                                    ? table.addend(i)
                                    : contents.readWord((int) offset, image.encoding());
                    pointers.putIfAbsent(
                            offset, new Pointer(symbol, symbols.value(symbol) + addend));
                }
            }
        }
        return pointers;
    }

    private static boolean pointsToModule(ModuleImage image, @Nullable Pointer pointer) {
        return pointer != null
                && image.symbols().sectionIndex(pointer.symbol)
                        == image.allocatedSectionIndex(ModuleImage.THIS_MODULE);
    }

    private static String text(ModuleImage image, @Nullable Pointer pointer) {
        if (pointer == null) {
            return "";
        }
        int section = image.symbols().sectionIndex(pointer.symbol);
        Bytes contents =
                section < image.sections().size() ? image.section(section).contents() : Bytes.EMPTY;
        boolean inside = pointer.value >= 0 && pointer.value < contents.size();
        return inside ? contents.text((int) pointer.value) : "";
    }

    /** The name of the symbol, or of one at the same place if it is a section's. */
    private static String symbol(ModuleImage image, @Nullable Pointer pointer) {
        if (pointer == null) {
            return "";
        }
        SymbolTable symbols = image.symbols();
        String name = symbols.name(pointer.symbol);
        if (!name.isEmpty()) {
            return name;
        }
        int section = symbols.sectionIndex(pointer.symbol);
        for (int i = 1; i < symbols.count(); i++) {
            if (symbols.sectionIndex(i) == section
                    && symbols.value(i) == pointer.value
                    && symbols.nameOffset(i) != 0) {
                return symbols.name(i);
            }
        }
        return "";
    }
}
