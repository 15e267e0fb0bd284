package io.github.koloader.testkit;

import io.github.koloader.Executor.Call;
import io.github.koloader.LoadException;
import io.github.koloader.LogLevel;
import io.github.koloader.Module;
import io.github.koloader.ModuleParameter;
import io.github.koloader.ParameterType;
import io.github.koloader.memory.Address;
import io.github.koloader.memory.AddressSpace;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;

/** The functions of the fixture {@code params}, in Java. */
final class ParamsFixture {
    private final Call call;
    private final AddressSpace memory;

    private ParamsFixture(Call call) {
        this.call = call;
        this.memory = call.memory();
    }

    /** {@code params_init()}: prints all variables. */
    static int init(Call call) {
        new ParamsFixture(call).print();
        return 0;
    }

    /** {@code cb_set()}. */
    static int setCallback(Call call) {
        Address calls = call.module().addressOf("cb_calls").orElseThrow();
        call.memory().writeInt(calls, call.memory().readInt(calls) + 1);
        return call.setAs(ParameterType.INT);
    }

    /** {@code flag_set()}. */
    static int setFlag(Call call) {
        call.memory().writeInt(call.parameterVariable(), call.parameterValue().isPresent() ? 2 : 1);
        return 0;
    }

    private Address at(String variable) {
        return call.module().addressOf(variable).orElseThrow();
    }

    private int number(String variable) {
        return memory.readInt(at(variable));
    }

    private void line(String text) {
        call.printk(LogLevel.INFO, text);
    }

    private String text(Address pointer) {
        return memory.readText(memory.readPointer(pointer), 1024);
    }

    private void print() {
        int word = memory.encoding().wordSize();
        line("p_byte=" + memory.readByte(at("p_byte")));
        line("p_short=" + (short) memory.readShort(at("p_short")));
        line("p_ushort=" + memory.readShort(at("p_ushort")));
        line("p_int=" + number("p_int"));
        line("p_uint=" + Integer.toUnsignedString(number("p_uint")));
        long signed = memory.readWord(at("p_long"));
        line("p_long=" + (word == 8 ? signed : (int) signed));
        line("p_ulong=" + Long.toUnsignedString(memory.readWord(at("p_ulong"))));
        line("p_ullong=" + Long.toUnsignedString(memory.readLong(at("p_ullong"))));
        line("p_hexint=" + Integer.toHexString(number("p_hexint")));
        line("p_charp=" + text(at("p_charp")));
        line("p_bool=" + memory.readByte(at("p_bool")));
        line("p_invbool=" + memory.readByte(at("p_invbool")));
        line("p_bint=" + number("p_bint"));
        line("p_enable_only=" + memory.readByte(at("p_enable_only")));
        line("p_named=" + number("renamed"));
        line("p_string=" + memory.readText(at("p_string"), 16));
        for (int i = 0; i < number("p_array_n"); i++) {
            line("p_array[" + i + "]=" + memory.readInt(at("p_array").plus(4L * i)));
        }
        for (int i = 0; i < number("p_strs_n"); i++) {
            line("p_strs[" + i + "]=" + text(at("p_strs").plus((long) word * i)));
        }
        Address fixed = at("fixedarr");
        line(
                "p_fixed="
                        + (short) memory.readShort(fixed)
                        + ","
                        + (short) memory.readShort(fixed.plus(2)));
        line("p_unsafe=" + number("p_unsafe"));
        line("p_ioport=" + Integer.toHexString(number("p_ioport")));
        line("p_noperm=" + number("p_noperm"));
        line("p_cb=" + number("cb_value") + " calls=" + number("cb_calls"));
        line("p_flag=" + number("flag_value"));
    }

    /** {@code NAME = VALUE} of each file, by name, as a shell shows them. */
    static List<String> files(Module module) {
        List<ModuleParameter> parameters = new ArrayList<>(module.parameters());
        parameters.removeIf(parameter -> parameter.permissions() == 0);
        parameters.sort(Comparator.comparing(ModuleParameter::name));
        List<String> lines = new ArrayList<>();
        for (ModuleParameter parameter : parameters) {
            lines.add((parameter.name() + " = " + shown(parameter)).stripTrailing());
        }
        return lines;
    }

    private static String shown(ModuleParameter parameter) {
        if ((parameter.permissions() & 0444) == 0) {
            return "Permission denied"; // by the file's mode
        }
        try {
            return parameter.read();
        } catch (LoadException e) {
            return e.errno().text();
        }
    }
}
