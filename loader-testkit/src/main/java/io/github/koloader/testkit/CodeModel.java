package io.github.koloader.testkit;

import io.github.koloader.Executor;
import io.github.koloader.ExportedSymbol;
import io.github.koloader.LogLevel;
import io.github.koloader.LogLine;
import io.github.koloader.Module;
import io.github.koloader.memory.Address;
import io.github.koloader.memory.AddressSpace;
import io.github.koloader.testkit.ModuleCode.Function;
import io.github.koloader.testkit.ModuleCode.Reference;
import io.github.koloader.testkit.ModuleCode.Use;
import java.util.ArrayList;
import java.util.IdentityHashMap;
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;
import org.jspecify.annotations.Nullable;

/**
 * Stands in for the processor when small modules of recordings are loaded. It knows their functions
 * by the symbols at their addresses, never by the name of a file; it reads their variables, strings
 * and pointers out of the memory of the simulated kernel, so that what they print is what the
 * loader has made of them.
 *
 * <p>A function that only prints fixed strings and returns a constant needs no model: it is read
 * off its code. Others are in {@link OwnFunctions}. What neither knows, and what happens beyond a
 * jump into the middle of a kernel function, is asked of {@link Unknown}.
 *
 * <p>Before a function runs, all its calls are looked at: one that leads nowhere is a {@link
 * io.github.koloader.memory.AddressFaultException} or a {@link ModelFaultException}.
 */
final class CodeModel implements Executor {
    /** Answers for code that is not modelled. */
    @FunctionalInterface
    interface Unknown {
        /**
         * What a function does that is not modelled.
         *
         * @param call the call
         * @param reason why it is not modelled
         * @return what it returns
         */
        int call(Call call, String reason);
    }

    /** Code whose effect is not known, for a reason. */
    static final class NotModelled extends Exception {
        private static final long serialVersionUID = 1L;

        NotModelled(String reason) {
            super(reason);
        }
    }

    private static final int DEPTH = 16;
    private static final int NOP_LENGTH = 4; // of endbr64

    private final KernelFacts facts;
    private final Unknown unknown;
    private final IdentityHashMap<Module, ModuleCode> codes = new IdentityHashMap<>();

    CodeModel(KernelFacts facts, Unknown unknown) {
        this.facts = facts;
        this.unknown = unknown;
    }

    /** A module is relocated: its code is there. */
    void relocated(ModuleCode code) {
        codes.put(code.module(), code);
    }

    @Override
    public int call(Call call) {
        ModuleCode code = codes.get(call.module());
        if (code == null) {
            return unknown.call(call, "the module's file was not seen");
        }
        Optional<Function> function = code.function(call.entry().value());
        if (function.isEmpty()) {
            call.memory().readByte(call.entry()); // a fault, if nothing is there
            if (!facts.isKernel(call.entry().value())) {
                throw new ModelFaultException("no code at " + call.entry());
            }
            return unknown.call(call, "it runs " + facts.describe(call.entry().value()));
        }
        try {
            Frame frame = new Frame(call, code);
            frame.check(function.get());
            return frame.run(function.get(), call.arguments());
        } catch (NotModelled e) {
            return unknown.call(call, String.valueOf(e.getMessage()));
        }
    }

    /** One call into one module. */
    final class Frame {
        private final Call call;
        private final ModuleCode code;

        private Frame(Call call, ModuleCode code) {
            this.call = call;
            this.code = code;
        }

        AddressSpace memory() {
            return call.memory();
        }

        /** The final value of a symbol of the module. */
        long symbol(String name) {
            return code.symbol(name)
                    .orElseThrow(() -> new ModelFaultException("no symbol " + name));
        }

        Address at(String name) {
            return new Address(symbol(name));
        }

        Module module() {
            return call.module();
        }

        // ---- what the real machine would trip over ----

        private void check(Function function) throws NotModelled {
            for (Reference reference : function.references()) {
                if (reference.use() != Use.POINTER && !code.isWeakNull(reference.symbol())) {
                    checkTarget(function, reference);
                }
            }
        }

        private void checkTarget(Function function, Reference reference) throws NotModelled {
            long target = reference.target();
            if (target == reference.place()) {
                throw new ModelFaultException(
                        "%s branches to itself at %s for ever"
                                .formatted(function.name(), new Address(target)));
            }
            if (isOwn(function, target)
                    || target == function.end()
                    || kernelFunction(target).isPresent()
                    || ownerOf(target).flatMap(owner -> owner.function(target)).isPresent()) {
                return;
            }
            if (facts.isKernel(target)) {
                throw new NotModelled(
                        "%s calls %s, which is not the beginning of a kernel function"
                                .formatted(function.name(), facts.describe(target)));
            }
            memory().readByte(new Address(target)); // a fault, if nothing is there
            if (reference.symbol() == 0) {
                throw new ModelFaultException(
                        "%s calls %s, which is no function"
                                .formatted(function.name(), new Address(target)));
            }
        }

        private boolean isOwn(Function function, long target) {
            return Long.compareUnsigned(
                            target - function.entry(), function.end() - function.entry())
                    < 0;
        }

        /**
         * The kernel's function that a call to this address runs. Where functions begin with
         * endbr64, as in the module itself, it may be called behind that.
         */
        private Optional<String> kernelFunction(long target) {
            Optional<String> name = facts.nameAt(target);
            return name.isPresent() || !beginsWithEndbr()
                    ? name
                    : facts.nameAt(target - NOP_LENGTH);
        }

        private boolean beginsWithEndbr() {
            if (!facts.architecture().name().equals("x86_64")) {
                return false;
            }
            byte[] start = memory().read(call.entry(), NOP_LENGTH);
            return start[0] == (byte) 0xf3
                    && start[1] == 0x0f
                    && start[2] == 0x1e
                    && start[3] == (byte) 0xfa;
        }

        private Optional<ModuleCode> ownerOf(long target) {
            return codes.values().stream()
                    .filter(owner -> owner.function(target).isPresent())
                    .findFirst();
        }

        // ---- running ----

        private int run(Function function, List<Address> arguments) throws NotModelled {
            OwnFunctions.Model model = OwnFunctions.MODELS.get(function.name());
            if (model != null) {
                return model.run(this, function, arguments);
            }
            OptionalInt result = function.result();
            if (result.isEmpty() && call.phase() == Phase.INIT) {
                throw new NotModelled("what " + function.name() + " returns is not a constant");
            }
            List<Address> printed = new ArrayList<>();
            if (!runFrom(function, function.entry(), printed, 0)) {
                throw new ModelFaultException("%s jumps behind its end".formatted(function.name()));
            }
            List<LogLine> lines = new ArrayList<>();
            for (Address format : printed) {
                lines.add(line(format));
            }
            lines.forEach(call.kernel().log()::add); // only when all is known
            return result.orElse(0);
        }

        /**
         * Runs straight-line code to its return; whether it does return and does not run on into
         * what is behind it. A call to the instruction behind it, as one that was never relocated
         * is on x86, runs the rest twice.
         */
        private boolean runFrom(Function function, long from, List<Address> printed, int depth)
                throws NotModelled {
            if (depth > DEPTH) {
                throw new ModelFaultException(function.name() + " calls itself for ever");
            }
            @Nullable Long pointer = null;
            for (Reference reference : function.references()) {
                if (Long.compareUnsigned(reference.place(), from) < 0) {
                    continue;
                }
                long target = reference.target();
                if (reference.use() == Use.POINTER) {
                    pointer = target;
                } else if (isOwn(function, target) || target == function.end()) {
                    boolean onward = target == reference.next();
                    if (!onward || target == function.end()) {
                        if (reference.use() == Use.JUMP && target == function.end()) {
                            return false;
                        }
                        throw new NotModelled(function.name() + " is not straight-line code");
                    }
                    if (reference.use() == Use.CALL
                            && !runFrom(function, target, printed, depth + 1)) {
                        return false;
                    }
                } else {
                    called(function, reference, pointer, printed);
                }
            }
            return true;
        }

        private void called(
                Function function,
                Reference reference,
                @Nullable Long pointer,
                List<Address> printed)
                throws NotModelled {
            String name = nameOf(reference);
            if (name.equals("_printk") || name.equals("printk")) {
                if (pointer == null) {
                    throw new NotModelled(function.name() + " prints a string that is not found");
                }
                printed.add(new Address(pointer));
            } else if (!OwnFunctions.WITHOUT_EFFECT.contains(name)) {
                throw new NotModelled(function.name() + " calls " + name);
            }
        }

        /** What a call runs; of several names of a function the one that the module uses. */
        private String nameOf(Reference reference) {
            String used = code.symbolName(reference.symbol());
            ExportedSymbol export = facts.exports().get(used);
            if (export != null && export.address().value() == reference.target()) {
                return used;
            }
            return kernelFunction(reference.target())
                    .orElse(used.isEmpty() ? "another function of a module" : used);
        }

        // ---- what functions do ----

        /** Prints what a format string of the module and these arguments give. */
        void printk(Address format, Object... arguments) throws NotModelled {
            call.kernel().log().add(line(format, arguments));
        }

        private LogLine line(Address format, Object... arguments) throws NotModelled {
            String text = memory().readText(format, 4096);
            LogLevel level = LogLevel.WARNING; // the default of a line without one
            if (text.length() >= 2 && text.charAt(0) == 1 && Character.isDigit(text.charAt(1))) {
                level = LogLevel.values()[Math.min(7, text.charAt(1) - '0')];
                text = text.substring(2);
            }
            Optional<String> formatted = CFormat.format(text, arguments);
            if (formatted.isEmpty()) {
                throw new NotModelled("a string is printed with arguments: " + text.strip());
            }
            String whole = formatted.get();
            String line = whole.endsWith("\n") ? whole.substring(0, whole.length() - 1) : whole;
            return LogLine.of(level, line);
        }

        /** The format strings that a function uses, in order of their use. */
        List<Address> formats(Function function) {
            List<Address> formats = new ArrayList<>();
            for (Reference reference : function.references()) {
                if (reference.use() == Use.POINTER
                        && memory().regionAt(new Address(reference.target())).isPresent()
                        && memory().readByte(new Address(reference.target())) == 1) {
                    formats.add(new Address(reference.target()));
                }
            }
            return formats;
        }

        /** Calls a function through a symbol of the module; what is there, does it. */
        int callSymbol(String name, int... arguments) throws NotModelled {
            long target = symbol(name);
            for (ModuleCode owner : codes.values()) {
                Optional<Function> function = owner.function(target);
                if (function.isPresent()) {
                    OwnFunctions.Arithmetic model =
                            OwnFunctions.ARITHMETIC.get(function.get().name());
                    if (model != null) {
                        return model.run(new Frame(call, owner), arguments);
                    }
                }
            }
            memory().readByte(new Address(target)); // a fault, if nothing is there
            throw new NotModelled(name + " is not modelled");
        }

        /** A word of CPU 0's copy of a per-CPU variable, given by its symbol's value. */
        long readPerCpu(long token, int size) throws NotModelled {
            for (ModuleCode owner : codes.values()) {
                Module module = owner.module();
                Optional<Address> base = module.perCpuBase();
                if (base.isPresent() && !module.perCpuRegions().isEmpty()) {
                    long offset = token - base.get().value();
                    if (offset >= 0 && offset + size <= module.perCpuRegions().get(0).size()) {
                        Address at = module.perCpuRegions().get(0).base().plus(offset);
                        return size == 4 ? memory().readInt(at) : memory().readWord(at);
                    }
                }
            }
            throw new NotModelled("per-CPU variable of the kernel at " + new Address(token));
        }

        /** The text that a pointer leads to, as {@code %s} prints it. */
        String text(Address pointer) {
            return pointer.isNull() ? "(null)" : memory().readText(pointer, 4096);
        }
    }
}
