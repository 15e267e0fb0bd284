package io.github.koloader.arch;

import java.util.Map;

/** Names that people know machines by. */
final class Machines {
    private static final Map<Integer, String> NAMES =
            Map.ofEntries(
                    Map.entry(2, "sparc"),
                    Map.entry(3, "i386"),
                    Map.entry(4, "m68k"),
                    Map.entry(8, "mips"),
                    Map.entry(15, "parisc"),
                    Map.entry(20, "powerpc"),
                    Map.entry(21, "ppc64"),
                    Map.entry(22, "s390"),
                    Map.entry(40, "arm"),
                    Map.entry(42, "sh"),
                    Map.entry(43, "sparc64"),
                    Map.entry(50, "ia64"),
                    Map.entry(62, "x86-64"),
                    Map.entry(183, "arm64"),
                    Map.entry(243, "riscv"),
                    Map.entry(247, "BPF"),
                    Map.entry(258, "loongarch"),
                    Map.entry(0x9026, "alpha"));

    private Machines() {}

    static String name(int elfMachine) {
        return NAMES.getOrDefault(elfMachine, "machine " + elfMachine);
    }
}
