using System.Buffers.Binary;
using System.Runtime.InteropServices;
using Lamina.Cluster.Links;
using Lamina.Cluster.Messages;
using Lamina.Compute.Model;
using Lamina.Compute.Sampling;
using Lamina.Node.Pipeline;
using Lamina.Node.Tests.Support;

namespace Lamina.Node.Tests.Pipeline;

/// <summary>
/// A neighbour's frames with each of their words altered in turn: what does not fit the plan is refused in a sentence, and what is taken sets no more aside than the plan does. All that the words name are
/// slots, blocks, tokens, positions and counts, which the receiver looks up in tables of its own.
/// </summary>
public sealed class AlteredFrameTests : IDisposable
{
    /// <summary>A list grows here and there; the rows, the cache and the prologue have their places since the stage was loaded.</summary>
    private const long FewBytes = 64 << 10;

    private static readonly StageSettings s_plan = new(64, 8, 4, 8, 8, 1, 1);

    private readonly TinyModel _model = new();

    public void Dispose() => _model.Dispose();

    [Trait("Attack", "B2")]
    [Theory]
    [InlineData(1)] // Rows: more or fewer than the payload has.
    [InlineData(2)] // Width.
    [InlineData(3)] // Reserved.
    public void StepHeader_Altered_IsRefusedWhateverItSays(int word)
    {
        byte[] payload = Payload();
        using var stage = new StageExecutor(Middle(), s_plan);
        var step = new Step(s_plan.MaxBatchRows);
        foreach (int value in Others(Word(payload, word)))
        {
            byte[] altered = With(payload, word, value);
            long before = GC.GetAllocatedBytesForCurrentThread();
            Assert.Throws<InvalidDataException>(() => StepFrame.Read(altered, 1, TinyModel.Width, step));
            Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 0, FewBytes);
        }
    }

    [Trait("Attack", "B2")]
    [Fact]
    public void Step_EachWordAltered_IsRefusedOrTakenWithinThePlan()
    {
        byte[] payload = Payload();
        int words = (int)StepFrame.PrologueBytes(Word(payload, 0), Word(payload, 1)) / sizeof(int);
        float[] output = new float[s_plan.MaxBatchRows * TinyModel.Width];
        (int refused, int taken) = (0, 0);
        for (int word = 0; word < words; word++)
        {
            using var stage = new StageExecutor(Middle(), s_plan);
            Run(stage, payload, output);
            Run(stage, Ended(), output);
            foreach (int value in Others(Word(payload, word)))
            {
                byte[] altered = With(payload, word, value);
                long memory = stage.MemoryBytes, before = GC.GetAllocatedBytesForCurrentThread();
                try
                {
                    Run(stage, altered, output);
                    taken++;
                }
                catch (InvalidDataException)
                {
                    refused++;
                }

                Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 0, FewBytes);
                Assert.Equal(memory, stage.MemoryBytes);
                Reset(stage, output);
            }
        }

        // Another token is a token; padding is not looked at.
        Assert.True(refused > words && taken > 0, $"{refused} refused, {taken} taken");
    }

    /// <summary>The one contract that travels inside a step's operations, and so is none of the links' own.</summary>
    [Trait("Attack", "B2")]
    [Fact]
    public void TailSettings_Fields_AreNumbersAndFlagsBesideTheSampling() =>
        Assert.Equal(
            ["EmittedLogProbs Single[]", "MinTokens Int32", "Pool Boolean", "PromptTokens Int32", "Sampling SamplingSettings", "StopTokens Int32[]", "TraceParent String"],
            typeof(TailSettings).GetProperties().Select(field => $"{field.Name} {field.PropertyType.Name}").Order(StringComparer.Ordinal));

    /// <summary>The tail answers the head's first step with a frame of which one word is another: the pipeline ends, or what comes out is a token of the vocabulary.</summary>
    [Trait("Attack", "B2")]
    [Fact]
    public async Task Sampled_EachWordAltered_EndsThePipelineOrIsATokenOfTheVocabulary()
    {
        // Count, slot, token, log-probability, number of likely tokens, and one of them.
        int[] sound = [1, 0, 5, BitConverter.SingleToInt32Bits(-1), 1, 7, BitConverter.SingleToInt32Bits(-1)];
        (int ended, int taken) = (0, 0);
        for (int word = 0; word < sound.Length; word++)
        {
            foreach (int value in Others(sound[word]))
            {
                int[] altered = [.. sound];
                altered[word] = value;
                (Exception? end, int? token) = await AnswerAsync(altered);
                Assert.True(end is InvalidDataException != token is not null, $"word {word} = {value}: {end?.ToString() ?? "no end"}, token {token}");
                Assert.InRange(token ?? 0, 0, TinyModel.Vocabulary - 1);
                _ = token is null ? ended++ : taken++;
            }
        }

        Assert.Equal(5, (await AnswerAsync(sound)).Token);
        Assert.True(ended > sound.Length && taken > 0, $"{ended} ended, {taken} taken");
    }

    /// <summary>Of 8 rows of 64 values: 8 x (16 + 64 x 8 + 4 + 64 x 4) + 4 bytes. A frame that long is kept, one that is longer by a byte is refused before it is.</summary>
    [Trait("Attack", "B2")]
    [Fact]
    public void SampledFrame_LongerThanThePlansLongest_IsNotKept()
    {
        var executor = new StageExecutor(Stage.Load(_model.File, ModelShape.FromGguf(_model.File.Metadata), new LayerRange(0, 1), StageSetup.Options(s_plan)), s_plan);
        var ends = new System.Collections.Concurrent.ConcurrentQueue<Exception>();
        using var head = new PipelineHead(executor, s_plan, 2, new AnsweringTail([]), ends.Enqueue);

        InvalidDataException refusal = Assert.Throws<InvalidDataException>(() => head.Sampled.Send(FrameKind.Sampled, 1, new byte[16], new byte[6308 - 15]));

        Assert.Equal("Sampled frame of 6309 bytes, the plan's longest has 6308", refusal.Message);
        Assert.Equal(0, head.Sampled.Count);
        Assert.Empty(ends);
        head.Sampled.Send(FrameKind.Sampled, 1, new byte[16], new byte[6308 - 16]);
    }

    /// <summary>Nothing and everything, one more and one less, and what is negative where lengths are not.</summary>
    private static IEnumerable<int> Others(int value) => new[] { 0, 1, value - 1, value + 1, -1, -value, 0xFFFF, 1 << 30, int.MaxValue, int.MinValue }.Where(other => other != value).Distinct();

    private static int Word(byte[] payload, int word) => BinaryPrimitives.ReadInt32LittleEndian(payload.AsSpan(word * sizeof(int)));

    private static byte[] With(byte[] payload, int word, int value)
    {
        byte[] altered = [.. payload];
        BinaryPrimitives.WriteInt32LittleEndian(altered.AsSpan(word * sizeof(int)), value);
        return altered;
    }

    /// <summary>A step of every kind of operation and three rows of two sequences.</summary>
    private static byte[] Payload()
    {
        var step = new Step(s_plan.MaxBatchRows);
        byte[] settings = SamplingWire.Write(new TailSettings(Generations.Greedy, 2, 0, []));
        step.Operations.Open(0, [5, 6], settings);
        step.Operations.Append(0, [3]);
        step.Operations.ClearBlocks([6, 7]);
        step.Operations.CopyBlock(6, 7);
        step.Operations.Open(1, [9], settings);
        step.Operations.Append(1, [4]);
        step.Operations.Open(2, [9], settings);
        step.Operations.Release(2);
        step.Batch.Add(5, 0, 0, false);
        step.Batch.Add(6, 1, 0, true);
        step.Batch.Add(9, 0, 1, true);
        return Encode(step);
    }

    private static byte[] Ended()
    {
        var step = new Step(s_plan.MaxBatchRows);
        step.Operations.Release(0);
        step.Operations.Release(1);
        return Encode(step);
    }

    private static byte[] Encode(Step step)
    {
        byte[] buffer = new byte[1];
        int length = StepFrame.WritePrologue(step, TinyModel.Width, ref buffer);
        float[] rows = [.. Enumerable.Range(0, step.Batch.RowCount * TinyModel.Width).Select(i => i % 7 * 0.1f)];
        return [.. buffer.AsSpan(0, length), .. MemoryMarshal.AsBytes(rows.AsSpan())];
    }

    private static void Run(StageExecutor stage, byte[] payload, float[] output)
    {
        var step = new Step(s_plan.MaxBatchRows);
        int prologue = StepFrame.Read(payload, 1, TinyModel.Width, step);
        stage.Execute(step, MemoryMarshal.Cast<byte, float>(payload.AsSpan(prologue)), output.AsSpan(0, step.Batch.RowCount * TinyModel.Width));
    }

    /// <summary>Closes whichever slots were left open, so that the next alteration finds what the first did.</summary>
    private static void Reset(StageExecutor stage, float[] output)
    {
        for (int slot = 0; slot < s_plan.MaxSequences; slot++)
        {
            var step = new Step(s_plan.MaxBatchRows);
            step.Operations.Release(slot);
            try
            {
                Run(stage, Encode(step), output);
            }
            catch (InvalidDataException)
            {
                // It was not open.
            }
        }
    }

    private Stage Middle() => Stage.Load(_model.File, ModelShape.FromGguf(_model.File.Metadata), new LayerRange(2, 3), StageSetup.Options(s_plan));

    private async Task<(Exception? End, int? Token)> AnswerAsync(int[] words)
    {
        var executor = new StageExecutor(Stage.Load(_model.File, ModelShape.FromGguf(_model.File.Metadata), new LayerRange(0, 1), StageSetup.Options(s_plan)), s_plan);
        var result = new TaskCompletionSource<(Exception?, int?)>(TaskCreationOptions.RunContinuationsAsynchronously);
        var tail = new AnsweringTail(words);
        using var head = new PipelineHead(executor, s_plan, 2, tail, end => result.TrySetResult((end, null)));
        tail.Head = head;
        head.Submit(Generations.Request([5, 6], 1, SamplingSettings.From(new SamplingParameters { Temperature = 0, LogProbs = true, TopLogProbs = 1 })), new Owner(result));
        return await result.Task.WaitAsync(Generations.Deadline);
    }

    private sealed class AnsweringTail(int[] words) : IFrameSink
    {
        public PipelineHead Head { get; set; } = null!;

        public void Send(FrameKind kind, int step, ReadOnlySpan<byte> head, ReadOnlySpan<byte> body) => Head.Sampled.Send(FrameKind.Sampled, step, MemoryMarshal.AsBytes(words.AsSpan()), []);
    }

    private sealed class Owner(TaskCompletionSource<(Exception?, int?)> result) : IGenerationOwner
    {
        public void OnToken(GenerationId generation, int index, int token, float logProb, ReadOnlySpan<TokenLogProb> top) => result.TrySetResult((null, token));

        public void OnEmbedded(GenerationId generation, ReadOnlySpan<float> values) => result.TrySetException(new InvalidOperationException("no embedding was asked for"));

        /// <summary>The end alone: without a token where the tail says that it found none.</summary>
        public void OnEnded(GenerationProtocol.GenerationEnded ended) => result.TrySetResult((null, 0));

        public void OnLost(GenerationId generation, int emitted, string reason)
        {
        }
    }
}
