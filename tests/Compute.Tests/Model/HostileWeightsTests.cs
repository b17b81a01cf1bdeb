using System.Runtime.InteropServices;
using Lamina.Compute.Gguf;
using Lamina.Compute.Model;
using Lamina.Compute.Sampling;

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
            using var source = new Poisoned(model.File, poisoned, value);
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

    /// <summary>The tensors of a file, one of them with every element replaced.</summary>
    private sealed unsafe class Poisoned : ITensorSource, IDisposable
    {
        private readonly GgufFile _file;
        private readonly string _name;
        private readonly nint _values;

        public Poisoned(GgufFile file, string name, float value)
        {
            (_file, _name) = (file, name);
            Assert.True(file.TryGet(name, out TensorView tensor));
            _values = (nint)NativeMemory.Alloc((nuint)tensor.ByteLength);
            new Span<float>((void*)_values, (int)(tensor.ByteLength / 4)).Fill(value);
        }

        public bool TryGet(string name, out TensorView tensor)
        {
            bool found = _file.TryGet(name, out tensor);
            tensor = name == _name ? tensor with { Address = _values } : tensor;
            return found;
        }

        public void Dispose() => NativeMemory.Free((void*)_values);
    }
}
