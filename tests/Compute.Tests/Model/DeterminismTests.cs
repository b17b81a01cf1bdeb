using System.Runtime.InteropServices;
using System.Security.Cryptography;
using Lamina.Compute.Gguf;
using Lamina.Compute.Kernels;
using Lamina.Compute.Model;

namespace Lamina.Compute.Tests.Model;

/// <summary>Logits do not depend on how the work is cut: stages, company in a batch, prefill chunks, threads, instruction set.</summary>
public sealed class DeterminismTests : IDisposable
{
    private const int Layers = 12;
    private const int PromptLength = 37;
    private const int DecodeLength = 3;

    private static readonly GgmlType[] Types = [GgmlType.Q8_0, GgmlType.Q4_0, GgmlType.Q4_K, GgmlType.Q6_K, GgmlType.Q5_K, GgmlType.F16, GgmlType.BF16, GgmlType.F32, GgmlType.Q5_0];

    private readonly RandomModel _model = new(
        RandomModel.Llama(Layers)
            .Set("llama.embedding_length", 256)
            .Set("llama.attention.key_length", 24)
            .Set("llama.attention.value_length", 24)
            .Build(),
        spec => TypeFor(spec));

    public static TheoryData<CpuVariant, int, int, int, int> Cases
    {
        get
        {
            var cases = new TheoryData<CpuVariant, int, int, int, int>();
            int[] stages = [1, 2, 3, 4, 6, 12], batches = [1, 3, 8], chunks = [1, 7, 32, 512];
            foreach (CpuVariant variant in CpuVariants.Available)
            {
                // The fastest variant walks the whole matrix, the others every value of each axis.
                bool all = variant == CpuVariants.Available[^1];
                for (int s = 0; s < stages.Length; s++)
                {
                    for (int b = 0; b < batches.Length; b++)
                    {
                        for (int c = 0; c < chunks.Length; c++)
                        {
                            if (all || (s % chunks.Length == c && s % batches.Length == b))
                            {
                                cases.Add(variant, stages[s], batches[b], chunks[c], 1 + ((s + b) % 2));
                            }
                        }
                    }
                }
            }

            return cases;
        }
    }

    [Fact]
    public void Logits_CutInEveryWay_HaveTheSameBits()
    {
        string? expected = null;
        foreach (var (variant, stages, batch, chunk, threads) in Cases.Select(row => row.Data))
        {
            string hash = Run(variant, stages, batch, chunk, threads);
            expected ??= hash;
            Assert.True(hash == expected, $"{variant}, {stages} stages, {batch} sequences, chunks of {chunk}, {threads} threads: other bits");
        }
    }

    public void Dispose() => _model.Dispose();

    private static GgmlType TypeFor(TensorSpec spec)
    {
        GgmlType type = Types[spec.Name.Sum(c => c) % Types.Length];
        return spec.Dimensions[0] % GgmlTypes.BlockElements(type) == 0 ? type : GgmlType.Q8_0;
    }

    /// <summary>Sequence 0 beside others of other lengths; the hash of its logits at every position that was asked for.</summary>
    private string Run(CpuVariant variant, int stageCount, int sequences, int chunk, int threads)
    {
        var options = new StageOptions { Variant = variant, Threads = threads, ContextLength = 64, KvBlocks = 2 * sequences, MaxBatchRows = 512, MaxSequences = sequences };
        Stage[] stages = Sequence.Load(_model.File, _model.Shape, options, stageCount);
        try
        {
            for (int slot = 0; slot < sequences; slot++)
            {
                foreach (Stage stage in stages)
                {
                    // Blocks in an order that differs from their positions.
                    stage.Cache.Append(slot, [(2 * sequences) - 1 - slot, slot]);
                }
            }

            using IncrementalHash hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
            var batch = new StepBatch(options.MaxBatchRows);
            var rows = new float[options.MaxBatchRows * _model.Shape.EmbeddingLength];
            int[] done = new int[sequences];
            while (done[0] < PromptLength + DecodeLength)
            {
                batch.Clear();
                for (int slot = 0; slot < sequences; slot++)
                {
                    int length = slot == 0 ? PromptLength : 20 + slot;
                    int take = done[slot] < length ? Math.Min(chunk, length - done[slot]) : done[slot] < length + DecodeLength ? 1 : 0;
                    for (int i = 0; i < take; i++, done[slot]++)
                    {
                        batch.Add(((done[slot] * 7) + (slot * 5) + 3) % 48, done[slot], slot, done[slot] >= length - 1);
                    }
                }

                foreach (Stage stage in stages)
                {
                    stage.Forward(batch, rows, rows);
                }

                for (int i = 0; i < batch.LogitRowCount; i++)
                {
                    if (batch.Slots[batch.LogitRows[i]] == 0)
                    {
                        hash.AppendData(MemoryMarshal.AsBytes(stages[^1].Logits(i)));
                    }
                }
            }

            return Convert.ToHexString(hash.GetHashAndReset());
        }
        finally
        {
            foreach (Stage stage in stages)
            {
                stage.Dispose();
            }
        }
    }
}
