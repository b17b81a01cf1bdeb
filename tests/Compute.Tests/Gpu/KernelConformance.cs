using Lamina.Compute.Gguf;
using Lamina.Compute.Kernels;
using Lamina.Compute.Kernels.Attention;
using Lamina.Compute.Kernels.Elementwise;
using Lamina.Compute.Model;
using Lamina.Compute.Quantization;
using Lamina.Compute.Tests.Kernels;
using Lamina.Compute.Tests.Model;

namespace Lamina.Compute.Tests.Gpu;

/// <summary>
/// What every device's operations must give, against the processor's scalar definitions or the plain formula: equal but for the rounding of sums, 1 in 100,000 of the greatest
/// value; products of quantised weights up to the rounding of their inputs to bytes. One thin class for each device.
/// </summary>
public abstract unsafe class KernelConformance : IDisposable
{
    private const int Most = 64;

    private readonly WorkerTeam _team = new(1, CpuVariant.Scalar);
    private readonly WorkerTeam _hostTeam = new(1);
    /// <summary>What workspaces are made for.</summary>
    private readonly ModelShape _shape = ModelShape.FromGguf(RandomModel.Llama(1)
        .Set("llama.attention.key_length", 24)
        .Set("llama.attention.value_length", 40)
        .Set("llama.expert_count", 8)
        .Set("llama.expert_used_count", 3)
        .Build());
    private readonly List<IDisposable> _owned = [];
    private IKernels? _tested;

    private protected abstract IKernels Create(WorkerTeam team);

    /// <summary>Weight rows of the largest matrix: fewer where an emulation takes long.</summary>
    protected virtual int Rows => 37;

    /// <summary>Input rows: one, a few, and as many as are multiplied tile by tile.</summary>
    protected virtual int[] Counts => [1, 3, 6, 21];

    public static TheoryData<GgmlType> Types =>
    [
        GgmlType.F32, GgmlType.F16, GgmlType.BF16, GgmlType.Q4_0, GgmlType.Q8_0, GgmlType.Q4_K, GgmlType.Q5_K, GgmlType.Q6_K, GgmlType.IQ4_XS, GgmlType.MXFP4, GgmlType.Q5_1,
    ];

    /// <summary>Inputs that bytes hold exactly, so that nothing is rounded but the sums.</summary>
    [Theory]
    [MemberData(nameof(Types))]
    public void Multiply_InputsThatBytesHold_IsTheExactProduct(GgmlType type)
    {
        const int columns = 256;
        byte[] bytes = TestWeights.RandomBytes(type, Rows, columns, seed: 5);
        float[] weights = new float[Rows * columns];
        Dequantizer.ToF32(type, bytes, weights);
        float[] bias = Floats(Rows, 3);
        foreach (int count in Counts)
        {
            float[] x = [.. Enumerable.Range(0, count * columns).Select(i => i % 32 == 7 ? 127f : ((i * 37) % 255) - 127)];
            Assert.Equal(count * columns, x.Length);
            float[] y = Multiply(type, bytes, columns, x, count, bias);
            for (int i = 0; i < count * Rows; i++)
            {
                double exact = bias[i % Rows], magnitude = 0;
                for (int k = 0; k < columns; k++)
                {
                    double product = (double)weights[(i % Rows * columns) + k] * x[(i / Rows * columns) + k];
                    exact += product;
                    magnitude += Math.Abs(product);
                }

                // A type without a format of its own lies in halves on a GPU.
                double bound = 1e-5 + (type == GgmlType.Q5_1 ? 1e-3 : 0);
                Assert.True(Math.Abs(y[i] - exact) <= bound * magnitude, $"{type}, {count} rows: output {i % Rows} of row {i / Rows} is {y[i]}, exact {exact}");
            }
        }
    }

    /// <summary>Rounding inputs to bytes errs by a step of at most 1/127 of a stretch's greatest value over the square root of 12, at random; five deviations.</summary>
    [Fact]
    public void Multiply_AnyInputs_DiffersByTheirRoundingOnly()
    {
        const int columns = 256;
        byte[] bytes = TestWeights.RandomBytes(GgmlType.Q4_K, Rows, columns, seed: 8);
        float[] weights = new float[Rows * columns], x = TestWeights.RandomInput(2, columns, seed: 9);
        Dequantizer.ToF32(GgmlType.Q4_K, bytes, weights);
        float[] y = Multiply(GgmlType.Q4_K, bytes, columns, x, 2, new float[Rows]);
        for (int i = 0; i < 2 * Rows; i++)
        {
            double exact = 0, squares = 0;
            for (int k = 0; k < columns; k++)
            {
                double weight = weights[(i % Rows * columns) + k];
                exact += weight * x[(i / Rows * columns) + k];
                squares += weight * weight;
            }

            Assert.InRange(y[i], exact - (5 * Math.Sqrt(squares) * 10 / 127 / Math.Sqrt(12)), exact + (5 * Math.Sqrt(squares) * 10 / 127 / Math.Sqrt(12)));
        }
    }

    [Theory]
    [MemberData(nameof(Types))]
    public void Embed_AnyRow_IsTheDequantisedRow(GgmlType type)
    {
        const int columns = 256;
        byte[] bytes = TestWeights.RandomBytes(type, 9, columns, seed: 2);
        float[] weights = new float[9 * columns];
        Dequantizer.ToF32(type, bytes, weights);
        using IWeightMatrix matrix = Pack(type, bytes, 9, columns);
        Rows y = Buffer(3, columns);
        Tested.Embed(matrix, [8, 0, 5], y);
        Near([.. new[] { 8, 0, 5 }.SelectMany(row => weights.AsSpan(row * columns, columns).ToArray())], Read(y, 3, columns), type == GgmlType.Q5_1 ? 1e-3 : 1e-6);
    }

    [Fact]
    public void Norms_OfRowsAndHeads_AreTheScalarOnes()
    {
        float[] x = Floats(3 * 96, 1), weight = Floats(96, 2), bias = Floats(96, 3);
        Same((k, o) => k.RmsNorm(o.Put(x, 96), o.Vector(weight), o.Result(3, 96), 3, 96, 1e-5f), 3, 96);
        Same((k, o) => k.LayerNorm(o.Put(x, 96), o.Vector(weight), o.Vector(bias), o.Result(3, 96), 3, 96, 1e-5f), 3, 96);
        Same((k, o) => k.HeadNorm(o.Result(3, 96, x), 3, 4, 24, o.Vector(weight), 0, false, 1e-5f), 3, 96);
        Same((k, o) => k.HeadNorm(o.Result(3, 96, x), 3, 4, 24, o.Vector(weight), 24, true, 1e-5f), 3, 96);
    }

    [Theory]
    [InlineData(RopePairing.Interleaved)]
    [InlineData(RopePairing.Halves)]
    public void Rope_OfSomeDimensions_TurnsAsTheScalarOne(RopePairing pairing)
    {
        var angles = new RopeAngles(pairing, [1, 0.3, 0.01, 1e-4], 1.25f);
        float[] x = Floats(3 * 40, 4);
        int[] positions = [0, 77, 123_456];
        Same(
            (k, o) =>
            {
                Rows cosines = o.Put(new float[3 * 8], 8), sines = o.Put(new float[3 * 8], 8);
                k.RopeFactors(angles, positions, cosines, sines);
                k.Rope(angles, cosines, sines, o.Result(3, 40, x), 3, 4, 10);
            },
            3,
            40);
    }

    [Fact]
    public void Activations_GatedAndPlain_AreTheScalarOnes()
    {
        float[] gate = [.. Floats(2 * 50, 5).Select(value => value * 12)], up = Floats(2 * 50, 6);
        foreach (Activation activation in Enum.GetValues<Activation>())
        {
            Same((k, o) => k.Activate(activation, o.Put(gate, 50), o.Put(up, 50), o.Result(2, 50), 2, 50), 2, 50);
            if (activation != Activation.SwigluOai)
            {
                Same((k, o) => k.Activate(activation, o.Put(gate, 50), null, o.Result(2, 50), 2, 50), 2, 50);
            }
        }
    }

    [Fact]
    public void Elementwise_Operations_AreTheScalarOnes()
    {
        float[] x = [.. Floats(3 * 40, 7).Select(value => value * 40)], y = Floats(3 * 40, 8), bias = Floats(40, 9);
        Same((k, o) => k.Add(o.Put(x, 40), 0.3f, o.Result(3, 40, y), 3, 40), 3, 40);
        Same((k, o) => k.AddBias(o.Vector(bias), o.Result(3, 40, y), 3, 40), 3, 40);
        Same((k, o) => k.Scale(o.Result(3, 40, x), 0.7f, 3, 40), 3, 40);
        Same((k, o) => k.ScaleRows(o.Result(3, 40, x), o.Put(bias, 1), 3, 40), 3, 40);
        Same((k, o) => k.SoftCap(o.Result(3, 40, x), 30, 3, 40), 3, 40);
        Same((k, o) => k.Clamp(o.Result(3, 40, x), 5, 3, 40), 3, 40);
        Same((k, o) => k.Sigmoid(o.Result(3, 40, x), 3, 40), 3, 40);
        Same((k, o) => k.Copy(o.Put(x, 40), o.Result(3, 40), 3, 40), 3, 40);
        Same((k, o) => k.Gather(o.Put(x, 40), [2, 0, 2], o.Result(3, 40), 40), 3, 40);
    }

    [Theory]
    [InlineData(GgmlType.F16, WindowKind.Full, 0, 0f, false, 0f)]
    [InlineData(GgmlType.F16, WindowKind.Sliding, 70, 0f, true, 0f)]
    [InlineData(GgmlType.F16, WindowKind.Chunked, 50, 5f, false, 0f)]
    [InlineData(GgmlType.Q8_0, WindowKind.Full, 0, 0f, true, 0f)]
    [InlineData(GgmlType.F16, WindowKind.Full, 0, 0f, false, 8f)]
    public void Attention_OverSeveralSpans_IsTheScalarOne(GgmlType type, WindowKind kind, int window, float cap, bool sinks, float alibi)
    {
        var layout = new KvLayout(type, 2, 24, 40);
        const int length = 290;
        float[] keys = Floats(length * 48, 1), values = Floats(length * 80, 2), queries = Floats(3 * 96, 3), sinkScores = Floats(4, 4);
        int[] blocks = [.. Enumerable.Range(0, 10).Select(i => i * 7 % 10)], positions = [.. Enumerable.Range(0, length)], rows = [287, 288, 289];
        Same(
            (k, o) =>
            {
                byte* pool = o.Bytes(layout.BlockBytes * 10);
                k.StoreKeyValues(
                    new KeyValueRows { Layout = layout, Keys = o.Put(keys, 48), Values = o.Put(values, 80), Positions = o.Integers(positions), Blocks = o.Integers([.. positions.Select(p => blocks[p / 32])]), Pool = pool },
                    length);
                k.Attend(
                    new AttentionLayer
                    {
                        Layout = layout,
                        Heads = 4,
                        Scale = 0.5f,
                        SoftCap = cap,
                        WindowKind = kind,
                        Window = window,
                        AlibiBias = alibi,
                        Causal = true,
                        Sinks = sinks ? o.Vector(sinkScores) : null,
                        Queries = o.Put(queries, 96),
                        Output = o.Result(3, 160),
                        Positions = o.Integers(rows),
                        LastPositions = o.Integers(rows),
                        Pool = pool,
                        Slots = o.Integers([0, 0, 0]),
                        Tables = o.Integers(blocks),
                        TableLength = 10,
                        LastPosition = 289,
                    },
                    [0, 0, 0]);
            },
            3,
            160,
            blocks: blocks);
    }

    [Theory]
    [InlineData((int)RouterKind.Softmax, false, 1)]
    [InlineData((int)RouterKind.Sigmoid, true, 4)]
    [InlineData((int)RouterKind.SoftmaxOfChosen, false, 1)]
    public void Experts_RoutedSortedAndCombined_GiveTheScalarRows(int router, bool bias, int groups)
    {
        var shape = new ExpertShape { Count = 8, Used = 3, Router = (RouterKind)router, Normalise = bias, WeightScale = 1.5f, Groups = groups, GroupsUsed = Math.Max(1, groups / 2) };
        float[] scores = Floats(7 * 8, 1), x = Floats(7 * 64, 2), offsets = Floats(8, 3), matrices = Floats(8 * 20 * 64, 4), down = Floats(8 * 64 * 20, 5), biases = Floats(8 * 20, 6);
        Same(
            (k, o) =>
            {
                ExpertLinear first = o.Experts(matrices, 8, 20, 64, biases), second = o.Experts(down, 8, 64, 20, null);
                Rows inner = o.Put(new float[21 * 20], 20), outputs = o.Put(new float[21 * 64], 64);
                k.Route(shape, o.Put(scores, 8), bias ? o.OwnVector(offsets) : null, 7);
                k.MultiplyExperts(first, o.Put(x, 64), 7, byUse: false, inner);
                k.MultiplyExperts(second, inner, 7, byUse: true, outputs);
                k.CombineExperts(outputs, o.Result(7, 64), 7, 64);
            },
            7,
            64);
    }

    [Fact]
    public void PickLargest_WithTiesAndWhatIsNotFinite_FindsThemAndTheSum()
    {
        const int length = 1000;
        float[] logits = [.. Floats(2 * length, 1).Select((value, i) => i == 40 ? float.NaN : i == 41 ? float.PositiveInfinity : MathF.Round(value * 50))];
        Rows x = Buffer(2, length);
        Tested.Upload(logits, x, 2, length);
        var largest = new LargestLogits();
        if (!Tested.TryPickLargest(x, 2, length, 20, largest))
        {
            Assert.True(Tested.SharesHostMemory);
            return;
        }

        for (int row = 0; row < 2; row++)
        {
            float[] all = [.. logits.AsSpan(row * length, length).ToArray().Select(value => float.IsFinite(value) ? value : float.NegativeInfinity)];
            int[] expected = [.. Enumerable.Range(0, length).OrderByDescending(i => all[i]).ThenBy(i => i).Take(20)];
            Assert.Equal(expected.Order(), largest.Ids(row).ToArray().Order());
            Assert.All(Enumerable.Range(0, 20), i => Assert.Equal(all[largest.Ids(row)[i]], largest.Values(row)[i]));
            Assert.Equal(Math.Log(all.Sum(value => Math.Exp(value))), largest.LogNormaliser(row), 1e-4);
        }
    }

    [Fact]
    public void Memory_ClearedAndCopied_HoldsWhatItShould()
    {
        using IBuffer buffer = Tested.Allocate(4096);
        var rows = new Rows((float*)buffer.Pointer, 16);
        Assert.All(Read(rows, 4, 16), value => Assert.Equal(0, value));
        Tested.Upload(Floats(64, 1), rows, 4, 16);
        Tested.CopyBytes(buffer.Pointer, buffer.Pointer + 1024, 128);
        Assert.Equal(Floats(64, 1)[..32], Read(new Rows((float*)(buffer.Pointer + 1024), 16), 2, 16));
        Tested.Clear(buffer.Pointer, 64);
        Assert.Equal([.. new float[16], .. Floats(64, 1)[16..32]], Read(rows, 2, 16));
    }

    public void Dispose()
    {
        _owned.ForEach(memory => memory.Dispose());
        _tested?.Dispose();
        _team.Dispose();
        _hostTeam.Dispose();
        Close();
        GC.SuppressFinalize(this);
    }

    /// <summary>Closes the device.</summary>
    private protected virtual void Close()
    {
    }

    private IKernels Tested => _tested ??= Reserved(Create(_hostTeam), null);

    private IKernels Reserved(IKernels kernels, int[]? blocks)
    {
        // The cache's tables are where the processor's attention finds its blocks.
        var options = new StageOptions { ContextLength = 320, KvBlocks = 10, MaxBatchRows = Most, MaxSequences = 1 };
        var cache = new KvCache(_shape, new LayerRange(0, 1), options, kernels);
        _owned.Add(cache);
        cache.Append(0, blocks ?? []);
        kernels.Reserve(BufferSizes.Of(_shape, new LayerRange(0, 1), options), cache);
        return kernels;
    }

    /// <summary>Runs an operation on the tested device and by the scalar definition, and compares what became of the result.</summary>
    private void Same(Action<IKernels, Operands> operation, int rows, int length, int[]? blocks = null)
    {
        float[] expected, actual;
        using (var scalar = CpuKernels.For(_team))
        using (var operands = new Operands(scalar))
        {
            operation(Reserved(scalar, blocks), operands);
            expected = Read(scalar, operands.Output, rows, length);
        }

        IKernels tested = blocks is null ? Tested : Reserved(Create(_hostTeam), blocks);
        using (var operands = new Operands(tested))
        {
            operation(tested, operands);
            actual = Read(tested, operands.Output, rows, length);
        }

        if (blocks is not null)
        {
            _owned.Add(tested);
        }

        Near(expected, actual, 2e-5);
    }

    private float[] Multiply(GgmlType type, byte[] bytes, int columns, float[] x, int count, float[] bias)
    {
        using IWeightMatrix matrix = Pack(type, bytes, Rows, columns);
        using var vector = new Vector(Tested, bias);
        Rows input = Buffer(count, columns), y = Buffer(count, Rows);
        Tested.Upload(x, input, count, columns);
        if (Tested is CpuKernels)
        {
            using var rows = new ActivationRows(count, columns);
            rows.Set(input.First, (nint)input.Stride, count, columns);
            MatMul.Multiply(_hostTeam, (WeightMatrix)matrix, rows, y.First, (nint)y.Stride);
            Tested.AddBias(vector.Values, y, count, Rows);
        }
        else
        {
            Tested.Multiply(new Linear([(matrix, 0)], vector, []), input, count, y);
        }

        return Read(y, count, Rows);
    }

    private IWeightMatrix Pack(GgmlType type, byte[] bytes, int rows, int columns)
    {
        fixed (byte* first = bytes)
        {
            return Tested.Pack(new WeightPart(new TensorView("test", type, columns, rows, [columns, rows], (nint)first, bytes.Length), 0, rows));
        }
    }

    private Rows Buffer(int rows, int columns)
    {
        IBuffer buffer = Tested.Allocate(rows * BufferSizes.Stride(columns) * sizeof(float));
        _owned.Add(buffer);
        return new Rows((float*)buffer.Pointer, BufferSizes.Stride(columns));
    }

    private float[] Read(Rows x, int rows, int length) => Read(Tested, x, rows, length);

    private static float[] Read(IKernels kernels, Rows x, int rows, int length)
    {
        float[] values = new float[rows * length];
        kernels.Download(x, rows, length, values);
        return values;
    }

    private static float[] Floats(int count, int seed)
    {
        var random = new Random(seed);
        return [.. Enumerable.Range(0, count).Select(_ => (random.NextSingle() * 2) - 1)];
    }

    private static void Near(float[] expected, float[] actual, double bound)
    {
        double greatest = expected.Max(Math.Abs);
        for (int i = 0; i < expected.Length; i++)
        {
            Assert.True(Math.Abs(expected[i] - actual[i]) <= bound * greatest, $"[{i}] is {actual[i]:R}, expected {expected[i]:R}");
        }
    }

    /// <summary>Memory of one device for one operation.</summary>
    private sealed class Operands(IKernels kernels) : IDisposable
    {
        private readonly List<IDisposable> _memory = [];

        public Rows Output { get; private set; }

        public Rows Put(float[] values, int columns)
        {
            int rows = values.Length / columns;
            var y = new Rows((float*)Bytes(rows * BufferSizes.Stride(columns) * sizeof(float)), BufferSizes.Stride(columns));
            kernels.Upload(values, y, rows, columns);
            return y;
        }

        public Rows Result(int rows, int columns, float[]? values = null) => Output = Put(values ?? new float[rows * columns], columns);

        public float* Vector(float[] values) => OwnVector(values).Values;

        public Vector OwnVector(float[] values)
        {
            var vector = new Vector(kernels, values);
            _memory.Add(vector);
            return vector;
        }

        public int* Integers(int[] values)
        {
            int* memory = (int*)Bytes(values.Length * sizeof(int));
            kernels.Upload(values, memory);
            return memory;
        }

        public byte* Bytes(long bytes)
        {
            IBuffer buffer = kernels.Allocate(bytes);
            _memory.Add(buffer);
            return buffer.Pointer;
        }

        public ExpertLinear Experts(float[] values, int experts, int rows, int columns, float[]? bias)
        {
            fixed (float* first = values)
            {
                var tensor = new TensorView("experts", GgmlType.F32, columns, experts * rows, [columns, rows, experts], (nint)first, values.Length * sizeof(float));
                ExpertLinear packed = kernels.PackExperts(
                    [.. Enumerable.Range(0, experts).Select(e => new[] { new WeightPart(tensor, e * rows, rows) })],
                    bias is null ? null : [.. Enumerable.Range(0, experts).Select(e => bias.AsSpan(e * rows, rows).ToArray())]);
                _memory.Add(packed);
                return packed;
            }
        }

        public void Dispose() => _memory.ForEach(memory => memory.Dispose());
    }
}
