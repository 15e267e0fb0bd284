package io.github.koloader.internal.load;

import com.google.common.collect.ImmutableSet;
import io.github.koloader.FaultPoint;
import io.github.koloader.KernelConfig;
import io.github.koloader.LoadRequest;
import io.github.koloader.Taint;
import io.github.koloader.arch.Architecture;
import io.github.koloader.image.FileHeader;
import io.github.koloader.image.Modinfo;
import io.github.koloader.image.ModuleImage;
import io.github.koloader.image.Section;
import io.github.koloader.image.ThisModule;
import io.github.koloader.internal.ExportIndex;
import io.github.koloader.internal.Failures;
import io.github.koloader.internal.KernelState;
import io.github.koloader.internal.Warnings;
import java.util.EnumSet;
import java.util.Optional;
import java.util.Set;

/**
 * Whether this kernel takes this module at all: machine, the sections that must be there,
 * blacklist, the version of {@code struct module}, vermagic, licence.
 *
 * @kernel kernel/module/main.c, setup_load_info(), check_modinfo(), early_mod_check(),
 *     module_augment_kernel_taints()
 */
final class CheckImage {
    private static final ImmutableSet<String> GPL_COMPATIBLE =
            ImmutableSet.of(
                    "GPL",
                    "GPL v2",
                    "GPL and additional rights",
                    "Dual BSD/GPL",
                    "Dual MIT/GPL",
                    "Dual MPL/GPL");

    /** What stands in messages for a name that modinfo does not give. */
    private static final String NO_NAME = "(missing .modinfo section or name field)";

    /**
     * An image that has passed.
     *
     * @param image the image
     * @param infoName modinfo's name, which some messages use; the other one before 4.19
     * @param name the name in {@code struct module}, which all else uses
     * @param modinfo its modinfo
     * @param thisModule its structure
     * @param taints what it is tainted with so far
     * @param livepatch whether it is a livepatch module
     * @param request how it is to be loaded
     */
    record CheckedImage(
            ModuleImage image,
            String infoName,
            String name,
            Modinfo modinfo,
            ThisModule thisModule,
            Set<Taint> taints,
            boolean livepatch,
            LoadRequest request) {
        /** The same with what the architecture has made of the image. */
        CheckedImage withImage(ModuleImage planned) {
            return new CheckedImage(
                    planned, infoName, name, modinfo, thisModule, taints, livepatch, request);
        }
    }

    private final KernelState kernel;
    private final KernelConfig config;
    private final ModuleImage image;
    private final LoadRequest request;
    private final Modinfo modinfo;
    private final Set<Taint> taints = EnumSet.noneOf(Taint.class);

    private CheckImage(
            KernelState kernel, ModuleImage image, LoadRequest request, Modinfo modinfo) {
        this.kernel = kernel;
        this.config = kernel.config;
        this.image = image;
        this.request = request;
        this.modinfo = modinfo;
    }

    static CheckedImage run(KernelState kernel, ModuleImage image, LoadRequest request) {
        return new CheckImage(kernel, image, request, modinfo(kernel.config, image)).run();
    }

    /** Modinfo as this kernel finds it: since 6.12 also where the section takes no memory. */
    private static Modinfo modinfo(KernelConfig config, ModuleImage image) {
        Modinfo allocated = image.modinfo();
        if (!config.atLeast(6, 12) || image.allocatedSectionIndex(".modinfo") != 0) {
            return allocated;
        }
        return image.section(".modinfo")
                .map(section -> new Modinfo(section.contents()))
                .orElse(allocated);
    }

    private CheckedImage run() {
        Architecture architecture = kernel.architecture;
        FileHeader header = new FileHeader(image.encoding(), image.machine(), image.flags(), 0);
        if (!architecture.accepts(header) || !architecture.encoding().equals(image.encoding())) {
            throw Failures.wrongArchitecture(image.machine(), architecture);
        }
        kernel.step(FaultPoint.SECTION_INDEX, modinfo.firstRaw("name").orElse(""));
        ThisModule thisModule = findParts();
        String name = structureName(thisModule);
        String infoName = config.atLeast(4, 19) ? modinfo.firstRaw("name").orElse(name) : name;
        kernel.step(FaultPoint.BLACKLIST, infoName);
        if (config.moduleBlacklist().contains(infoName) && config.atLeast(4, 8)) {
            throw Failures.blacklisted(infoName);
        }
        kernel.step(FaultPoint.STRUCT_VERSION, infoName);
        checkStructModuleVersion(infoName, name);
        kernel.step(FaultPoint.MODINFO, infoName);
        checkVermagic(infoName, name);
        boolean livepatch = modinfo.has("livepatch") && config.atLeast(4, 6);
        CheckedImage checked =
                new CheckedImage(
                        image, infoName, name, modinfo, thisModule, taints, livepatch, request);
        if (!config.atLeast(6, 4)) {
            warnBeforeLayout(checked);
        } else if (livepatch && !config.livepatch(architecture)) {
            throw Failures.noLivepatch(checked.name());
        }
        return checked;
    }

    /**
     * The sections that must be there. Up to 4.18 {@code struct module} is looked for first, and
     * names the module in what is said about symbols; since 6.12 it is looked for first again.
     *
     * @kernel kernel/module/main.c, setup_load_info(), elf_validity_cache_index()
     */
    private ThisModule findParts() {
        String provisional = modinfo.firstRaw("name").orElse(NO_NAME);
        Optional<ThisModule> found = image.thisModule();
        if (config.atLeast(6, 12)) {
            checkStructure(provisional, found, "Exactly");
            checkSymbols(provisional);
        } else if (config.atLeast(6, 4)) {
            checkSymbols(provisional);
            checkStructure(provisional, found, "Only");
        } else if (config.atLeast(4, 19)) {
            checkSymbols(provisional);
            if (found.isEmpty()) {
                throw Failures.noModuleFound(provisional + ": ");
            }
        } else {
            if (found.isEmpty()) {
                throw Failures.noModuleFound("");
            }
            checkSymbols(found.get().name());
        }
        ThisModule thisModule = found.get();
        Section structure = image.section(thisModule.section());
        int wordSize = image.encoding().wordSize();
        if (structure.contents().size()
                < ThisModule.nameOffset(wordSize) + ThisModule.nameLength(wordSize)) {
            throw Failures.thisModuleTooSmall(
                    structure.name(), structure.offset(), structure.contents().size());
        }
        if (config.atLeast(6, 4)
                && config.structModuleSize().isPresent()
                && structure.size() != config.structModuleSize().getAsLong()) {
            throw Failures.thisModuleSize(
                    provisional.equals(NO_NAME) ? found.get().name() : provisional,
                    structure.size(),
                    config.structModuleSize().getAsLong());
        }
        if (!request.ignoreModversions() && config.modversions()) {
            ExtendedVersions.check(config, image);
        }
        return thisModule;
    }

    private void checkStructure(String name, Optional<ThisModule> found, String word) {
        if (found.isEmpty() || thisModuleCount() > 1) {
            throw Failures.notExactlyOneModule(name, word);
        }
        if (!image.section(found.get().section()).flags().alloc()) {
            throw Failures.thisModuleNotAllocated(name);
        }
    }

    private int thisModuleCount() {
        int count = 0;
        for (Section section : image.sections()) {
            if (section.name().equals(ModuleImage.THIS_MODULE)) {
                count++;
            }
        }
        return count;
    }

    private void checkSymbols(String name) {
        if (image.symbolSection() == 0) {
            throw Failures.noSymbols(name);
        }
        int strings = image.section(image.symbolSection()).link();
        if (strings <= 0 || strings >= image.sections().size()) {
            throw Failures.noStrings(name, strings);
        }
    }

    /** The name in the structure; one that fills its field runs on into what follows. */
    private String structureName(ThisModule thisModule) {
        int wordSize = image.encoding().wordSize();
        if (thisModule.name().length() < ThisModule.nameLength(wordSize)) {
            return thisModule.name();
        }
        return image.section(thisModule.section()).contents().text(ThisModule.nameOffset(wordSize));
    }

    private void checkStructModuleVersion(String infoName, String name) {
        ExportIndex.Export layout = kernel.exports.find("module_layout");
        if (layout == null) {
            return;
        }
        CheckVersions versions = new CheckVersions(kernel, image, request, infoName, name, taints);
        if (!versions.agrees(layout, "module_layout")) {
            throw Failures.wrongStructModuleVersion(
                    infoName, versions.complaints(), versions.facts());
        }
    }

    private void checkVermagic(String infoName, String name) {
        if (!config.checkVermagic()) {
            return;
        }
        Optional<String> vermagic =
                request.ignoreVermagic() ? Optional.empty() : modinfo.firstRaw("vermagic");
        if (vermagic.isEmpty()) {
            if (!kernel.tryToForceLoad(taints, name, "bad vermagic")) {
                throw Failures.noVermagic(infoName);
            }
            return;
        }
        String expected = config.vermagic(kernel.architecture);
        boolean withCrcs =
                config.modversions()
                        && !request.ignoreModversions()
                        && image.allocatedSectionIndex("__versions") != 0;
        if (!(withCrcs ? fromFirstSpace(vermagic.get()) : vermagic.get())
                .equals(withCrcs ? fromFirstSpace(expected) : expected)) {
            throw Failures.wrongVermagic(infoName, vermagic.get(), expected, withCrcs);
        }
    }

    private static String fromFirstSpace(String vermagic) {
        int space = vermagic.indexOf(' ');
        return space < 0 ? "" : vermagic.substring(space);
    }

    /**
     * Up to 6.3 these warnings come before layout, so that a module refused later has tainted the
     * kernel.
     */
    private void warnBeforeLayout(CheckedImage checked) {
        warnOutOfTree(checked);
        warnRetpoline(checked);
        warnStaging(checked);
        if (checked.livepatch()) {
            if (!config.livepatch(kernel.architecture)) {
                throw Failures.noLivepatch(checked.name());
            }
            warnLivepatch(checked);
        }
        warnLicense(checked);
        warnTest(checked);
    }

    /** Since 6.4 they come once the module is admitted. */
    static void warnAfterAdmission(KernelState kernel, CheckedImage checked, Set<Taint> taints) {
        CheckImage check =
                new CheckImage(kernel, checked.image(), checked.request(), checked.modinfo());
        check.warnOutOfTree(checked);
        check.warnRetpoline(checked);
        check.warnStaging(checked);
        if (checked.livepatch()) {
            check.warnLivepatch(checked);
        }
        check.warnLicense(checked);
        check.warnTest(checked);
        taints.addAll(check.taints);
    }

    private void warnOutOfTree(CheckedImage checked) {
        if (modinfo.has("intree")) {
            return;
        }
        if (!kernel.taints.contains(Taint.OOT_MODULE) && config.atLeast(3, 11)) {
            kernel.log.add(Warnings.outOfTree(checked.name()));
        }
        kernel.taint(taints, Taint.OOT_MODULE);
    }

    private void warnRetpoline(CheckedImage checked) {
        if (config.retpolineNeeded()
                && kernel.architecture.checksRetpoline(kernel.config)
                && !modinfo.has("retpoline")) {
            kernel.log.add(Warnings.spectre());
            kernel.log.add(Warnings.noRetpoline(checked.name()));
        }
    }

    private void warnStaging(CheckedImage checked) {
        if (modinfo.has("staging")) {
            kernel.taint(taints, Taint.CRAP);
            kernel.log.add(Warnings.staging(checked.name()));
        }
    }

    private void warnLivepatch(CheckedImage checked) {
        kernel.taint(taints, Taint.LIVEPATCH);
        if (kernel.once("livepatch")) {
            kernel.log.add(Warnings.livepatch(checked.name()));
        }
    }

    private void warnLicense(CheckedImage checked) {
        String license = modinfo.firstRaw("license").orElse("unspecified");
        if (GPL_COMPATIBLE.contains(license)) {
            return;
        }
        if (!kernel.taints.contains(Taint.PROPRIETARY_MODULE)) {
            kernel.log.add(Warnings.license(checked.name(), license));
        }
        kernel.taint(taints, Taint.PROPRIETARY_MODULE);
    }

    private void warnTest(CheckedImage checked) {
        if (!modinfo.has("test") || !config.atLeast(6, 0)) {
            return;
        }
        if (!kernel.taints.contains(Taint.TEST)) {
            kernel.log.add(Warnings.test(checked.name()));
        }
        kernel.taint(taints, Taint.TEST);
    }
}
