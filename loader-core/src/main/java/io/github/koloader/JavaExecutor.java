package io.github.koloader;

import static com.google.common.base.Preconditions.checkArgument;
import static java.util.Objects.requireNonNull;

import io.github.koloader.memory.Address;
import java.util.LinkedHashMap;
import java.util.Map;

/**
 * Runs functions of modules as Java: an init written as a lambda reads and writes the module's
 * memory, logs, registers things with the {@linkplain Kernel#registry() registry}, and fails with
 * an errno.
 *
 * <pre>{@code
 * Executor executor = JavaExecutor.builder()
 *         .bind("hello", "hello_init", call -> {
 *             call.printk(LogLevel.INFO, "Hello World");
 *             return 0;
 *         })
 *         .build();
 * }</pre>
 *
 * <p>A function is bound by the name of a symbol, a local one too; the names {@code init_module}
 * and {@code cleanup_module} work for every module. The same binding serves code that is built in,
 * where its initcall tells the module it would be; {@link Builder#bindBuiltIn} does without that.
 * What is not bound is handed to another executor. Functions that set and show parameters are bound
 * likewise:
 *
 * <pre>{@code
 * .bind("hello", "set_speed", call -> call.setAs(ParameterType.UINT))
 * .bind("hello", "get_speed", call -> call.show("fast\n"))
 * }</pre>
 */
public final class JavaExecutor implements Executor {
    private final Map<String, Map<String, Executor>> bound;
    private final Map<String, Executor> builtIn;
    private final Executor otherwise;

    private JavaExecutor(Builder builder) {
        this.bound = new LinkedHashMap<>();
        builder.bound.forEach(
                (module, functions) -> bound.put(module, new LinkedHashMap<>(functions)));
        this.builtIn = Map.copyOf(builder.builtIn);
        this.otherwise = builder.otherwise;
    }

    /** {@return a builder without bindings} */
    public static Builder builder() {
        return new Builder();
    }

    @Override
    public int call(Call call) {
        return call.isBuiltIn() ? callBuiltIn(call) : callModule(call);
    }

    private int callBuiltIn(Call call) {
        String function = call.function().orElse("");
        Executor java = bound.getOrDefault(call.owner().orElse(""), Map.of()).get(function);
        if (java == null) {
            java = builtIn.getOrDefault(function, otherwise);
        }
        return java.call(call);
    }

    private int callModule(Call call) {
        for (Map.Entry<String, Executor> function :
                bound.getOrDefault(call.module().name(), Map.of()).entrySet()) {
            Address address = call.module().addressOf(function.getKey()).orElse(null);
            if (address == null && call.phase() == Phase.INIT) { // later, init's symbols are gone
                throw new IllegalStateException(
                        "bound function "
                                + function.getKey()
                                + " is no symbol of module "
                                + call.module().name());
            }
            if (call.entry().equals(address)) {
                return function.getValue().call(call);
            }
        }
        return otherwise.call(call);
    }

    /** Collects bindings. */
    public static final class Builder {
        private final Map<String, Map<String, Executor>> bound = new LinkedHashMap<>();
        private final Map<String, Executor> builtIn = new LinkedHashMap<>();
        private Executor otherwise = new RecordingExecutor();

        private Builder() {}

        /**
         * Binds a function.
         *
         * @param module name of the module
         * @param function name of a symbol at the entry, such as {@code hello_init} or {@code
         *     init_module}
         * @param java what to run; its answer is the function's
         * @return this builder
         */
        public Builder bind(String module, String function, Executor java) {
            Executor before =
                    bound.computeIfAbsent(module, key -> new LinkedHashMap<>())
                            .putIfAbsent(function, requireNonNull(java));
            checkArgument(before == null, "%s of %s is bound already", function, module);
            return this;
        }

        /**
         * Binds a function of the kernel itself: an initcall or the handler of an option.
         *
         * @param function its name
         * @param java what to run; its answer is the function's
         * @return this builder
         */
        public Builder bindBuiltIn(String function, Executor java) {
            Executor before = builtIn.putIfAbsent(function, requireNonNull(java));
            checkArgument(before == null, "%s is bound already", function);
            return this;
        }

        /**
         * Sets what runs functions that are not bound; by default nothing does, and they answer 0.
         *
         * @param executor what to ask instead
         * @return this builder
         */
        public Builder otherwise(Executor executor) {
            this.otherwise = requireNonNull(executor);
            return this;
        }

        /** {@return the executor} */
        public JavaExecutor build() {
            return new JavaExecutor(this);
        }
    }
}
