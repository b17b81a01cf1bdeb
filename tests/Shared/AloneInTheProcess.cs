namespace Lamina.TestSupport;

/// <summary>For tests that measure what the whole process allocates or how long it takes.</summary>
[CollectionDefinition(nameof(AloneInTheProcess), DisableParallelization = true)]
public sealed class AloneInTheProcess;
