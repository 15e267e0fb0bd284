package io.github.koloader.testkit;

import io.github.koloader.KernelConfig;
import java.util.List;
import java.util.Optional;
import java.util.Set;

/** What words of a kernel's command line change about loading modules. */
final class CommandLine {
    private static final Set<String> WITHOUT_EFFECT =
            Set.of(
                    "nokaslr",
                    "quiet",
                    "ro",
                    "rw",
                    "module.async_probe=0",
                    "module.async_probe=1",
                    "module.async_probe");

    private CommandLine() {}

    /**
     * Options with a command line.
     *
     * @return empty if it has a word that is not known here
     */
    static Optional<KernelConfig> apply(KernelConfig config, String line) {
        KernelConfig.Builder builder = config.toBuilder();
        for (String word : line.trim().split("\\s+", -1)) {
            String[] parts = word.split("=", 2);
            String value = parts.length == 2 ? parts[1] : "";
            switch (parts[0].replace('-', '_')) {
                case "nomodule" -> builder.modulesDisabled(true);
                case "module.sig_enforce" -> builder.sigEnforce(value.isEmpty() || isTrue(value));
                case "lockdown" ->
                        builder.lockdown(
                                value.equals("integrity") || value.equals("confidentiality"));
                case "module_blacklist" -> builder.moduleBlacklist(List.of(value.split(",")));
                case "" -> {}
                default -> {
                    if (!WITHOUT_EFFECT.contains(word)
                            && !word.matches(
                                    "(console|loglevel|panic|init|rdinit|root|printk)[.a-z]*=.*")) {
                        return Optional.empty();
                    }
                }
            }
        }
        return Optional.of(builder.build());
    }

    private static boolean isTrue(String value) {
        return !value.isEmpty() && "yYtT1".indexOf(value.charAt(0)) >= 0
                || value.matches("[oO][nN].*");
    }
}
