using Lamina.Compute.Devices;
using Lamina.Compute.Gguf;
using Lamina.Compute.Kernels;

namespace Lamina.Compute.Model;

/// <summary>How a stage is built.</summary>
public sealed record StageOptions
{
    /// <summary>Compute threads, the calling thread included.</summary>
    public int Threads { get; init; } = 1;

    /// <summary>Instruction set of the kernels; null = the fastest this machine has, or what the environment asks for.</summary>
    public CpuVariant? Variant { get; init; }

    /// <summary>What it computes on.</summary>
    public ComputeDevice Device { get; init; } = ComputeDevice.Cpu;

    /// <summary>Most rows one step may hold.</summary>
    public int MaxBatchRows { get; init; } = 512;

    /// <summary>Sequences that can hold key/value blocks at the same time.</summary>
    public int MaxSequences { get; init; } = 64;

    /// <summary>Key/value blocks of <see cref="KvCache.BlockPositions"/> positions, for every layer of the stage.</summary>
    public int KvBlocks { get; init; } = 256;

    /// <summary>F16 (default), or a narrower cache type.</summary>
    public GgmlType KvType { get; init; } = GgmlType.F16;

    /// <summary>Positions a sequence may reach; at most the model's trained context unless the operator says otherwise.</summary>
    public int ContextLength { get; init; } = 4096;
}
