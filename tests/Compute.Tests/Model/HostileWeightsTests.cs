using System.Runtime.InteropServices;
using Lamina.Compute.Gguf;
using Lamina.Compute.Model;
using Lamina.Compute.Sampling;
using Lamina.Compute.Tests.Fuzzing;

namespace Lamina.Compute.Tests.Model;

/// <summary>Weights that are numbers only by name: the answer is a token of the vocabulary or a typed error, in the time of an ordinary one.</summary>
public sealed class HostileWeightsTests
{
    [Trait("Attack", "A12")]
    [Theory]
    [InlineData(float.NaN)]
    [InlineData(float.PositiveInfinity)]
    [InlineData(float.NegativeInfinity)]
    [InlineData(1e-44f)]
    [InlineData(float.MaxValue)]
    public void Weights_NoOrdinaryNumbers_GiveATokenOrATypedError(float value)
    {
        using var model = new RandomModel(RandomModel.Llama(2).Build(), _ => GgmlType.F32);
        foreach (string poisoned in new[] { "blk.0.attn_q.weight", "blk.1.ffn_down.weight", "output_norm.weight", "token_embd.weight" })
        {
            using var source = new Poisoned(model.File, [poisoned], value);
            using Stage stage = Stage.Load(source, model.Shape, new LayerRange(0, 2), new StageOptions { ContextLength = 32, KvBlocks = 1, MaxBatchRows = 4, MaxSequences = 1 });
            stage.Cache.Append(0, [0]);
            var batch = new StepBatch(4);
            for (int i = 0; i < 4; i++)
            {
                batch.Add(1 + i, i, 0, wantsLogits: i == 3);
            }

            stage.Forward(batch, [], []);
            try
            {
                TokenLogProb chosen = new TokenSampler(new SamplingParameters { Temperature = 0, TopLogProbs = 1 }, model.Shape.VocabularySize).Sample(stage.Logits(0), [1, 2, 3, 4], new TokenLogProb[1]);
                Assert.InRange(chosen.Id, 0, model.Shape.VocabularySize - 1);
                Assert.False(float.IsNaN(chosen.LogProb));
            }
            catch (InvalidDataException e)
            {
                Assert.InRange(e.Message.Length, 10, 300);
            }
        }
    }

    /// <summary>Denormal and infinite numbers are slow on some processors: a step takes no more than a few times the processor time of one with ordinary weights.</summary>
    [Trait("Attack", "A12")]
    [Theory]
    [InlineData(float.NaN)]
    [InlineData(float.PositiveInfinity)]
    [InlineData(1e-44f)]
    public void Weights_NoOrdinaryNumbers_TakeHardlyLongerThanOrdinaryOnes(float value)
    {
        const int MostTimes = 8, Attempts = 5;
        using var model = new RandomModel(RandomModel.Llama(2).Build(), _ => GgmlType.F32);
        string[] poisoned = ["token_embd.weight", "blk.0.attn_norm.weight", "blk.0.ffn_up.weight", "blk.1.ffn_down.weight"];
        using var source = new Poisoned(model.File, poisoned, value);
        double best = double.MaxValue;
        for (int attempt = 0; attempt < Attempts && best > MostTimes; attempt++)
        {
            best = Math.Min(best, StepTime(source, model.Shape) / StepTime(model.File, model.Shape));
        }

        Assert.InRange(best, 0, MostTimes);
    }

    /// <summary>Processor time of some steps of one row after one that compiles them.</summary>
    private static double StepTime(ITensorSource source, ModelShape shape)
    {
        using Stage stage = Stage.Load(source, shape, new LayerRange(0, 2), new StageOptions { ContextLength = 32, KvBlocks = 1, MaxBatchRows = 4, MaxSequences = 1 });
        stage.Cache.Append(0, [0]);
        TimeSpan start = TimeSpan.Zero;
        for (int position = 0; position < 30; position++)
        {
            if (position == 10)
            {
                start = ThreadTime.Now;
            }

            var batch = new StepBatch(4);
            batch.Add(1, position, 0, wantsLogits: true);
            stage.Forward(batch, [], []);
        }

        return (ThreadTime.Now - start).TotalMicroseconds;
    }

    /// <summary>The tensors of a file, some of them with every element replaced.</summary>
    private sealed unsafe class Poisoned : ITensorSource, IDisposable
    {
        private readonly GgufFile _file;
        private readonly Dictionary<string, nint> _values = [];

        public Poisoned(GgufFile file, string[] names, float value)
        {
            _file = file;
            foreach (string name in names)
            {
                Assert.True(file.TryGet(name, out TensorView tensor));
                _values[name] = (nint)NativeMemory.Alloc((nuint)tensor.ByteLength);
                new Span<float>((void*)_values[name], (int)(tensor.ByteLength / 4)).Fill(value);
            }
        }

        public bool TryGet(string name, out TensorView tensor)
        {
            bool found = _file.TryGet(name, out tensor);
            tensor = _values.TryGetValue(name, out nint values) ? tensor with { Address = values } : tensor;
            return found;
        }

        public void Dispose()
        {
            foreach (nint values in _values.Values)
            {
                NativeMemory.Free((void*)values);
            }
        }
    }
}
