package io.github.koloader.internal.load;

import com.google.common.collect.ImmutableSet;
import io.github.koloader.FaultPoint;
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

    /**
     * An image that has passed.
     *
     * @param image the image
     * @param infoName modinfo's name, which some messages use
     * @param name the name in {@code struct module}, which all else uses
     * @param modinfo its modinfo
     * @param thisModule its structure
     * @param taints what it is tainted with so far
     * @param livepatch whether it is a livepatch module
     */
    record CheckedImage(
            ModuleImage image,
            String infoName,
            String name,
            Modinfo modinfo,
            ThisModule thisModule,
            Set<Taint> taints,
            boolean livepatch) {
        /** The same with what the architecture has made of the image. */
        CheckedImage withImage(ModuleImage planned) {
            return new CheckedImage(
                    planned, infoName, name, modinfo, thisModule, taints, livepatch);
        }
    }

    private final KernelState kernel;
    private final ModuleImage image;
    private final Modinfo modinfo;
    private final Set<Taint> taints = EnumSet.noneOf(Taint.class);

    private CheckImage(KernelState kernel, ModuleImage image) {
        this.kernel = kernel;
        this.image = image;
        this.modinfo = image.modinfo();
    }

    static CheckedImage run(KernelState kernel, ModuleImage image) {
        return new CheckImage(kernel, image).run();
    }

    private CheckedImage run() {
        Architecture architecture = kernel.architecture;
        FileHeader header = new FileHeader(image.encoding(), image.machine(), image.flags(), 0);
        if (!architecture.accepts(header) || !architecture.encoding().equals(image.encoding())) {
            throw Failures.wrongArchitecture(image.machine(), architecture);
        }
        Optional<String> given = modinfo.firstRaw("name");
        String provisional = given.orElse("(missing .modinfo section or name field)");
        kernel.step(FaultPoint.SECTION_INDEX, given.orElse(""));
        if (image.symbolSection() == 0) {
            throw Failures.noSymbols(provisional);
        }
        int strings = image.section(image.symbolSection()).link();
        if (strings <= 0 || strings >= image.sections().size()) {
            throw Failures.noStrings(provisional, strings);
        }
        ThisModule thisModule =
                image.thisModule().orElseThrow(() -> Failures.noModuleFound(provisional));
        Section structure = image.section(thisModule.section());
        int wordSize = image.encoding().wordSize();
        if (structure.contents().size()
                < ThisModule.nameOffset(wordSize) + ThisModule.nameLength(wordSize)) {
            throw Failures.thisModuleTooSmall(
                    structure.name(), structure.offset(), structure.contents().size());
        }
        String infoName = given.orElse(thisModule.name());
        if (kernel.config.atLeast(6, 4)
                && kernel.config.structModuleSize().isPresent()
                && structure.size() != kernel.config.structModuleSize().getAsLong()) {
            throw Failures.thisModuleSize(
                    infoName, structure.size(), kernel.config.structModuleSize().getAsLong());
        }
        kernel.step(FaultPoint.BLACKLIST, infoName);
        if (kernel.config.moduleBlacklist().contains(infoName)) {
            throw Failures.blacklisted(infoName);
        }
        kernel.step(FaultPoint.STRUCT_VERSION, infoName);
        checkStructModuleVersion(infoName);
        kernel.step(FaultPoint.MODINFO, infoName);
        checkVermagic(infoName);
        boolean livepatch = modinfo.has("livepatch");
        CheckedImage checked =
                new CheckedImage(
                        image, infoName, thisModule.name(), modinfo, thisModule, taints, livepatch);
        if (!kernel.config.atLeast(6, 4)) {
            warnBeforeLayout(checked);
        } else if (livepatch && !kernel.config.livepatch()) {
            throw Failures.noLivepatch(checked.name());
        }
        return checked;
    }

    private void checkStructModuleVersion(String infoName) {
        ExportIndex.Export layout = kernel.exports.find("module_layout");
        if (layout == null) {
            return;
        }
        CheckVersions versions = new CheckVersions(kernel, image, infoName, taints);
        if (!versions.agrees(layout, "module_layout")) {
            throw Failures.wrongStructModuleVersion(
                    infoName, versions.complaints(), versions.facts());
        }
    }

    private void checkVermagic(String infoName) {
        if (!kernel.config.checkVermagic()) {
            return;
        }
        Optional<String> vermagic = modinfo.firstRaw("vermagic");
        if (vermagic.isEmpty()) {
            if (!kernel.tryToForceLoad(taints, infoName, "bad vermagic")) {
                throw Failures.noVermagic(infoName);
            }
            return;
        }
        String expected = kernel.config.vermagic(kernel.architecture);
        boolean withCrcs =
                kernel.config.modversions() && image.allocatedSectionIndex("__versions") != 0;
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
            if (!kernel.config.livepatch()) {
                throw Failures.noLivepatch(checked.name());
            }
            warnLivepatch(checked);
        }
        warnLicense(checked);
        warnTest(checked);
    }

    /** Since 6.4 they come once the module is admitted. */
    static void warnAfterAdmission(KernelState kernel, CheckedImage checked, Set<Taint> taints) {
        CheckImage check = new CheckImage(kernel, checked.image());
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
        if (!kernel.taints.contains(Taint.OOT_MODULE) && kernel.config.atLeast(3, 11)) {
            kernel.log.add(Warnings.outOfTree(checked.name()));
        }
        kernel.taint(taints, Taint.OOT_MODULE);
    }

    private void warnRetpoline(CheckedImage checked) {
        if (kernel.config.retpolineNeeded()
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
        if (!modinfo.has("test")) {
            return;
        }
        if (!kernel.taints.contains(Taint.TEST)) {
            kernel.log.add(Warnings.test(checked.name()));
        }
        kernel.taint(taints, Taint.TEST);
    }
}
