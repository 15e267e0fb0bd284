package io.github.koloader.internal.load;

import io.github.koloader.KernelConfig;
import io.github.koloader.image.Bytes;
import io.github.koloader.image.ModuleImage;
import io.github.koloader.internal.Failures;
import java.util.HashMap;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * The CRCs a module was built against in the form of 6.14 and later, for names of any length:
 * {@code __version_ext_crcs} has the numbers, {@code __version_ext_names} the names.
 *
 * @kernel kernel/module/main.c, elf_validity_cache_index_versions(); kernel/module/version.c,
 *     modversion_ext_start()
 */
final class ExtendedVersions {
    static final String CRCS = "__version_ext_crcs";
    static final String NAMES = "__version_ext_names";

    private final ModuleImage image;
    private final Bytes crcs;
    private final Bytes names;
    private @Nullable Map<String, Integer> byName;

    private ExtendedVersions(ModuleImage image, Bytes crcs, Bytes names) {
        this.image = image;
        this.crcs = crcs;
        this.names = names;
    }

    /** Those of a module, if it has any and this kernel knows them. */
    static @Nullable ExtendedVersions of(KernelConfig config, ModuleImage image) {
        if (!config.atLeast(6, 14)) {
            return null;
        }
        int crcs = image.allocatedSectionIndex(CRCS);
        int names = image.allocatedSectionIndex(NAMES);
        return crcs == 0 || names == 0
                ? null
                : new ExtendedVersions(
                        image, image.section(crcs).contents(), image.section(names).contents());
    }

    /** Refuses one section without the other, and fewer names than CRCs. */
    static void check(KernelConfig config, ModuleImage image) {
        if (!config.atLeast(6, 14)) {
            return;
        }
        boolean crcs = image.allocatedSectionIndex(CRCS) != 0;
        boolean names = image.allocatedSectionIndex(NAMES) != 0;
        if (crcs != names) {
            throw Failures.halfExtendedVersions();
        }
        ExtendedVersions versions = of(config, image);
        if (versions != null && versions.nameCount() < versions.count()) {
            throw Failures.fewerExtendedNames();
        }
    }

    private int count() {
        return crcs.size() / 4;
    }

    /** Names that end within their section, up to the number of CRCs. */
    private int nameCount() {
        int found = 0;
        for (int at = 0; at < names.size() && found < count(); found++) {
            int length = names.textLength(at);
            if (at + length >= names.size()) {
                return found;
            }
            at += length + 1;
        }
        return found;
    }

    /** The CRC of the first entry of that name, or {@code null}. */
    @Nullable Integer crc(String name) {
        Map<String, Integer> map = byName;
        if (map == null) {
            map = new HashMap<>();
            int at = 0;
            for (int i = 0; i < count(); i++) {
                map.putIfAbsent(names.text(at), crcs.readInt(4 * i, image.encoding()));
                at += names.textLength(at) + 1;
            }
            byName = map;
        }
        return map.get(name);
    }
}
