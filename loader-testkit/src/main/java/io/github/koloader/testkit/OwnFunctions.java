package io.github.koloader.testkit;

import io.github.koloader.memory.Address;
import io.github.koloader.testkit.CodeModel.Frame;
import io.github.koloader.testkit.CodeModel.NotModelled;
import io.github.koloader.testkit.ModuleCode.Function;
import java.util.List;
import java.util.Map;
import java.util.Set;

/**
 * What the functions of the recordings' own small modules do that do more than print a fixed
 * string: by name of the function. They read the module's memory; only what they compute is written
 * here.
 */
final class OwnFunctions {
    /** A function that the kernel calls. */
    @FunctionalInterface
    interface Model {
        /** Runs it. */
        int run(Frame frame, Function function, List<Address> arguments) throws NotModelled;
    }

    /** A function that other modules call. */
    @FunctionalInterface
    interface Arithmetic {
        /** Runs it. */
        int run(Frame frame, int... arguments) throws NotModelled;
    }

    static final Map<String, Model> MODELS =
            Map.of(
                    "impo_init", OwnFunctions::impoInit,
                    "params_init", OwnFunctions::paramsInit,
                    "set_cb", OwnFunctions::setCallback,
                    "get_cb", OwnFunctions::getCallback,
                    "s_init", OwnFunctions::secsInit);

    static final Map<String, Arithmetic> ARITHMETIC =
            Map.of(
                    "expo_add",
                            (frame, a) ->
                                    a[0] + a[1] + frame.memory().readInt(frame.at("expo_var")),
                    "expo_gpl", (frame, a) -> 2 * a[0],
                    "expo_ns", (frame, a) -> 3 * a[0]);

    /** Functions of the kernel that leave nothing that a module of these sees. */
    static final Set<String> WITHOUT_EFFECT =
            Set.of(
                    "__fentry__",
                    "__gnu_mcount_nc",
                    "_mcount",
                    "__x86_return_thunk",
                    "static_key_enable");

    private OwnFunctions() {}

    private static int impoInit(Frame frame, Function function, List<Address> arguments)
            throws NotModelled {
        int variable = frame.memory().readInt(frame.at("expo_var"));
        int sum = frame.callSymbol("expo_add", 1, 2);
        int gpl = frame.callSymbol("expo_gpl", 4);
        int namespace = frame.callSymbol("expo_ns", 5);
        int perCpu = (int) frame.readPerCpu(frame.symbol("expo_pcpu"), 4);
        frame.printk(format(frame, function, "%d"), variable, sum, gpl, namespace, perCpu);
        if (frame.symbol("oracle_nowhere") != 0) {
            frame.callSymbol("oracle_nowhere", 1);
        }
        return 0;
    }

    private static int secsInit(Frame frame, Function function, List<Address> arguments)
            throws NotModelled {
        int word = frame.memory().encoding().wordSize();
        long structure = frame.symbol("secs_pc");
        long pointer = frame.readPerCpu(structure, word);
        long value = frame.readPerCpu(structure + word, word);
        long code = frame.readPerCpu(structure + 2L * word, word);
        Address readOnly = frame.memory().readPointer(frame.at("roai"));
        frame.printk(
                format(frame, function, "%ld"),
                narrow(word, pointer - frame.symbol("target")),
                narrow(word, value),
                narrow(word, code - frame.symbol("pcf")),
                frame.memory().readInt(frame.at("init_tab").plus(8)),
                frame.memory().readInt(readOnly),
                frame.text(frame.at("init_str")),
                frame.memory().readInt(frame.at("rm")) + 1,
                narrow(word, frame.readPerCpu(frame.symbol("secs_pa"), word)));
        return 0;
    }

    /** A C long. */
    private static long narrow(int word, long value) {
        return word == 8 ? value : (int) value;
    }

    private static int setCallback(Frame frame, Function function, List<Address> arguments)
            throws NotModelled {
        Address value = arguments.get(0);
        frame.printk(format(frame, function, "%s"), frame.text(value));
        return !value.isNull() && frame.memory().readByte(value) == '!' ? -1 : 0;
    }

    private static int getCallback(Frame frame, Function function, List<Address> arguments) {
        String text = "cbval\n";
        frame.memory().writeText(arguments.get(0), text);
        return text.length();
    }

    private static int paramsInit(Frame frame, Function function, List<Address> arguments)
            throws NotModelled {
        int numbers = number(frame, "narr");
        int strings = number(frame, "nsarr");
        frame.printk(
                format(frame, function, " cp=%s"),
                number(frame, "i"),
                number(frame, "ui"),
                (int) (short) frame.memory().readShort(frame.at("sh")),
                frame.memory().readShort(frame.at("ush")) & 0xffff,
                word(frame, "l", true),
                word(frame, "ul", false),
                frame.memory().readLong(frame.at("ull")),
                frame.memory().readByte(frame.at("by")) & 0xff,
                frame.memory().readByte(frame.at("b")) & 0xff,
                frame.memory().readByte(frame.at("ib")) & 0xff,
                number(frame, "bi"),
                frame.text(frame.memory().readPointer(frame.at("cp"))),
                frame.text(frame.at("str")),
                number(frame, "hx"),
                number(frame, "hidden"),
                number(frame, "under_score"),
                number(frame, "unsafe"),
                numbers,
                strings);
        for (int i = 0; i < numbers; i++) {
            Address element = frame.at("arr").plus(4L * i);
            frame.printk(format(frame, function, " arr[%d]"), i, frame.memory().readInt(element));
        }
        int word = frame.memory().encoding().wordSize();
        for (int i = 0; i < strings; i++) {
            Address element = frame.at("sarr").plus((long) word * i);
            String text = frame.text(frame.memory().readPointer(element));
            frame.printk(format(frame, function, " sarr[%d]"), i, text);
        }
        return 0;
    }

    private static int number(Frame frame, String variable) {
        return frame.memory().readInt(frame.at(variable));
    }

    private static long word(Frame frame, String variable, boolean signed) {
        long value = frame.memory().readWord(frame.at(variable));
        int size = frame.memory().encoding().wordSize();
        return size == 8 ? value : signed ? (int) value : value & 0xffffffffL;
    }

    /** The format string of a function that has this in it. */
    private static Address format(Frame frame, Function function, String part) throws NotModelled {
        for (Address format : frame.formats(function)) {
            if (frame.memory().readText(format, 4096).contains(part)) {
                return format;
            }
        }
        throw new NotModelled(function.name() + " has no format string with " + part);
    }
}
