package io.github.koloader.examples;

/** Runs the law as jqwik does. */
class OwnRelocationLawPropertyTest extends OwnRelocationLaw {}
