package io.github.koloader.testkit;

import com.google.gson.GsonBuilder;
import com.google.gson.JsonArray;
import com.google.gson.JsonObject;
import io.github.koloader.ExportedSymbol;
import io.github.koloader.LoadObserver;
import io.github.koloader.LoadedSection;
import io.github.koloader.Module;
import io.github.koloader.Taint;
import io.github.koloader.arch.Architecture;
import io.github.koloader.image.Bytes;
import io.github.koloader.image.ModuleImage;
import io.github.koloader.image.SectionType;
import io.github.koloader.image.SymbolTable;
import io.github.koloader.memory.Address;
import io.github.koloader.memory.Layout.Block;
import io.github.koloader.memory.Layout.Kallsyms;
import io.github.koloader.memory.Layout.Part;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Base64;
import java.util.List;
import java.util.zip.GZIPOutputStream;
import org.jspecify.annotations.Nullable;

/**
 * Records loads in the form that {@link Replay} compares with, so that one version of a loader, a
 * module or a configuration can be held against another.
 *
 * <pre>{@code
 * Recorder recorder = new Recorder(Architectures.X86_64, "6.1.0-50-amd64");
 * Kernel kernel = Kernel.builder(Architectures.X86_64).observer(recorder).build();
 * recorder.next("own/hello.ko", file, image);
 * kernel.load(image, "");
 * recorder.write(Path.of("hello.jsonl.gz"));
 * }</pre>
 */
public final class Recorder implements LoadObserver {
    private final Architecture architecture;
    private final String release;
    private final List<JsonObject> records = new ArrayList<>();
    private String path = "";
    private String sha256 = "";
    private @Nullable ModuleImage image;
    private @Nullable JsonObject current;

    /**
     * A recorder of loads into a kernel of that architecture and release.
     *
     * @param architecture what the recorded kernel runs on
     * @param release as {@code uname -r} prints it
     */
    public Recorder(Architecture architecture, String release) {
        this.architecture = architecture;
        this.release = release;
    }

    /**
     * Says what is loaded next; a load that was not announced is not recorded.
     *
     * @param newPath the file, relative to the release directory, or {@code own/X.ko}
     * @param file its bytes, unpacked
     * @param newImage the image of it
     */
    public void next(String newPath, Bytes file, ModuleImage newImage) {
        this.path = newPath;
        this.sha256 = ModuleFiles.sha256(file);
        this.image = newImage;
        this.current = null;
    }

    @Override
    public void reached(Point point, Module module) {
        if (point == Point.RELOCATED && image != null) {
            current = record(image, module);
            image = null;
        } else if (point == Point.FORMED && current != null) {
            long gpl = module.exports().stream().filter(ExportedSymbol::gplOnly).count();
            current.addProperty("num_syms", module.exports().size() - gpl);
            current.addProperty("num_gpl_syms", gpl);
            records.add(current);
            current = null;
        }
    }

    private JsonObject record(ModuleImage loaded, Module module) {
        JsonObject record = new JsonObject();
        record.addProperty("kind", "module");
        record.addProperty("arch", architecture.name());
        record.addProperty("release", release);
        record.addProperty("name", module.name());
        record.addProperty("path", path);
        record.addProperty("sha256", sha256);
        record.addProperty("image", module.imageAddress().toString());
        addBlocks(record, module);
        record.addProperty("percpu", module.perCpuBase().orElse(Address.NULL).toString());
        boolean perCpu = !module.perCpuRegions().isEmpty();
        record.addProperty("percpu_size", perCpu ? module.perCpuRegions().get(0).size() : 0);
        if (perCpu) {
            JsonObject cpu0 = new JsonObject();
            cpu0.addProperty("addr", module.perCpuRegions().get(0).base().toString());
            cpu0.addProperty("sha", ModuleFiles.sha256(module.perCpuRegions().get(0).contents()));
            record.add("percpu_cpu0", cpu0);
        }
        record.addProperty("init_fn", module.init().orElse(Address.NULL).toString());
        record.addProperty("exit_fn", module.exit().orElse(Address.NULL).toString());
        record.addProperty("taints", Taint.mask(module.taints()));
        addSections(record, loaded, module);
        addUndefined(record, loaded, module);
        if (module.layout().kallsyms().present()) {
            addKallsyms(record, module);
        }
        return record;
    }

    private static void addBlocks(JsonObject record, Module module) {
        List<Block> blocks = module.layout().blocks();
        List<Address> bases = module.blockAddresses();
        if (blocks.size() > 2) {
            JsonArray memory = new JsonArray();
            for (int i = 0; i < blocks.size(); i++) {
                JsonObject entry = new JsonObject();
                entry.addProperty("type", blocks.get(i).parts().get(0).type().kernelName());
                entry.addProperty("base", bases.get(i).toString());
                entry.addProperty("size", blocks.get(i).size());
                memory.add(entry);
            }
            record.add("mem", memory);
            return;
        }
        for (int i = 0; i < 2; i++) {
            JsonObject entry = new JsonObject();
            entry.addProperty("base", bases.get(i).toString());
            entry.addProperty("size", blocks.get(i).size());
            List<Part> parts = blocks.get(i).parts();
            entry.addProperty("text_size", parts.get(0).size());
            entry.addProperty("ro_size", parts.get(0).size() + parts.get(1).size());
            long writable = parts.get(parts.size() - 1).size();
            entry.addProperty("ro_after_init_size", blocks.get(i).size() - writable);
            record.add(i == 0 ? "core" : "init", entry);
        }
    }

    private static void addSections(JsonObject record, ModuleImage loaded, Module module) {
        JsonArray sections = new JsonArray();
        JsonObject raw = new JsonObject();
        for (LoadedSection section : module.sections()) {
            Bytes contents = module.contents(section);
            JsonObject entry = new JsonObject();
            entry.addProperty("i", section.index());
            entry.addProperty("name", section.name());
            entry.addProperty("addr", section.address().toString());
            entry.addProperty("size", section.size());
            entry.addProperty("sha", ModuleFiles.sha256(contents));
            sections.add(entry);
            if (!loaded.section(section.index()).type().equals(SectionType.NOBITS)) {
                raw.addProperty(
                        Integer.toString(section.index()),
                        Base64.getEncoder().encodeToString(contents.toByteArray()));
            }
        }
        record.add("sections", sections);
        record.add("raw", raw);
    }

    private static void addUndefined(JsonObject record, ModuleImage loaded, Module module) {
        JsonObject undefined = new JsonObject();
        SymbolTable symbols = loaded.symbols();
        long[] values = module.symbolValues();
        for (int i = 1; i < values.length; i++) {
            if (symbols.sectionIndex(i) == SymbolTable.UNDEF) {
                undefined.addProperty(symbols.name(i), new Address(values[i]).toString());
            }
        }
        record.add("undef", undefined);
    }

    private static void addKallsyms(JsonObject record, Module module) {
        Kallsyms room = module.layout().kallsyms();
        Address base = module.blockAddresses().get(room.coreBlock());
        Bytes block = module.blockContents(room.coreBlock());
        JsonObject entry = new JsonObject();
        entry.addProperty("symtab", base.plus(room.coreSymbols()).toString());
        entry.addProperty("num", room.coreCount());
        entry.addProperty("strtab", base.plus(room.coreStrings()).toString());
        entry.addProperty("typetab", base.plus(room.coreTypes()).toString());
        int size = (int) (room.coreTypes() + room.coreCount() - room.coreSymbols());
        entry.addProperty("sha", ModuleFiles.sha256(block.slice((int) room.coreSymbols(), size)));
        entry.addProperty(
                "types", block.slice((int) room.coreTypes(), room.coreCount()).toLatin1());
        record.add("core_kallsyms", entry);
    }

    /**
     * {@return what was recorded so far: JSON, one line a load, with a line about the recording in
     * front}
     */
    public List<String> lines() {
        JsonObject meta = new JsonObject();
        meta.addProperty("kind", "meta");
        meta.addProperty("arch", architecture.name());
        meta.addProperty("release", release);
        var gson = new GsonBuilder().disableHtmlEscaping().create();
        List<String> lines = new ArrayList<>();
        lines.add(gson.toJson(meta));
        records.forEach(record -> lines.add(gson.toJson(record)));
        return lines;
    }

    /**
     * Writes what was recorded so far, packed if the name ends in {@code .gz}.
     *
     * @param file where to; an existing file is replaced
     * @throws IOException if it cannot be written
     */
    public void write(Path file) throws IOException {
        byte[] text = (String.join("\n", lines()) + "\n").getBytes(StandardCharsets.UTF_8);
        try (OutputStream out = Files.newOutputStream(file);
                OutputStream packed =
                        file.toString().endsWith(".gz") ? new GZIPOutputStream(out) : out) {
            packed.write(text);
        }
    }
}
