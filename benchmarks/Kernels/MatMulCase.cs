using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using Lamina.Compute.Gguf;
using Lamina.Compute.Kernels;

namespace Lamina.Kernels.Bench;

/// <summary>One weight type: enough matrices that decoding streams from memory, random weights with sound scales.</summary>
internal sealed unsafe class MatMulCase : IDisposable
{
    public const int Rows = 8192;
    public const int Columns = 2048;
    public const int StreamMegabytes = 160;
    public static readonly int[] Batches = [2, 3, 4, 8, 16, 128];

    private const int HotRepeats = 50;

    private readonly WorkerTeam _team;
    private readonly WeightMatrix _hot;
    private readonly WeightMatrix[] _matrices;
    private readonly NativeBuffer _output = new((long)Rows * 128 * 4);
    private readonly NativeBuffer _input = new((long)Columns * 128 * 4);
    private readonly ActivationRows _x = new(128, Columns);
    private readonly string _name;

    public MatMulCase(GgmlType type, int threads, CpuVariant variant)
    {
        _name = type.ToString();
        _team = new WorkerTeam(threads, variant);
        byte[] bytes = RandomWeights.Bytes(type, Rows, Columns, seed: 1);
        fixed (byte* pointer = bytes)
        {
            var tensor = new TensorView(_name, type, Columns, Rows, [Columns, Rows], (nint)pointer, bytes.Length);
            _matrices = new WeightMatrix[Math.Max(1, (int)((long)StreamMegabytes * 1_000_000 / bytes.Length))];
            // Stays in the second-level cache.
            _hot = WeightMatrix.Pack(_team, new WeightPart(tensor, 0, 64 * threads));
            for (int i = 0; i < _matrices.Length; i++)
            {
                _matrices[i] = WeightMatrix.Pack(_team, tensor);
            }
        }

        var random = new Random(2);
        for (int i = 0; i < Columns * 128; i++)
        {
            ((float*)_input.Pointer)[i] = random.NextSingle() - 0.5f;
        }
    }

    public string Measure(int rounds)
    {
        double read = double.MaxValue, decode = double.MaxValue, hot = double.MaxValue;
        double[] batch = [.. Batches.Select(_ => double.MaxValue)];
        long bytes = _matrices.Sum(m => m.Bytes);
        for (int round = 0; round < rounds; round++)
        {
            read = Math.Min(read, Time(() => Read()));
            decode = Math.Min(decode, Time(() => Multiply(1, _matrices.Length)));
            hot = Math.Min(hot, Time(() =>
            {
                for (int i = 0; i < HotRepeats; i++)
                {
                    MatMul.Multiply(_team, _hot, _x, (float*)_output.Pointer, Rows);
                }
            }));
            for (int i = 0; i < Batches.Length; i++)
            {
                int rows = Batches[i];
                batch[i] = Math.Min(batch[i], Time(() => Multiply(rows, Matrices(rows))) / Matrices(rows));
            }
        }

        double macs = (double)Rows * Columns / 1e9;
        return $"{_name,-8}{bytes / read / 1e9,10:F1}{bytes / decode / 1e9,9:F1}{read / decode,7:F2}{_hot.Bytes * (double)HotRepeats / hot / 1e9,8:F1} |"
            + string.Concat(Batches.Select((b, i) => $"{macs * b / batch[i],10:F1}"));
    }

    // A few rows are bound by memory, as one is.
    private int Matrices(int rows) => rows <= 4 ? _matrices.Length : 1;

    private void Multiply(int rows, int matrices)
    {
        _x.Set((float*)_input.Pointer, Columns, rows, Columns);
        for (int i = 0; i < matrices; i++)
        {
            MatMul.Multiply(_team, _matrices[i], _x, (float*)_output.Pointer, Rows);
        }
    }

    private void Read()
    {
        foreach (WeightMatrix matrix in _matrices)
        {
            _team.Run(new ReadJob(matrix), ReadJob.Chunks);
        }
    }

    private double Time(Action action) => ModelCase.Time(_team.Workers, action);

    public void Dispose()
    {
        foreach (WeightMatrix matrix in _matrices)
        {
            matrix.Dispose();
        }

        _hot.Dispose();
        _x.Dispose();
        _input.Dispose();
        _output.Dispose();
        _team.Dispose();
    }

    private readonly struct ReadJob(WeightMatrix matrix) : IJob
    {
        public const int Chunks = 16;

        public void Execute(int chunk, int worker)
        {
            int first = (int)((long)matrix.Groups * chunk / Chunks), end = (int)((long)matrix.Groups * (chunk + 1) / Chunks);
            Sink(matrix.Group(first), matrix.Group(end));
        }

        [MethodImpl(MethodImplOptions.AggressiveOptimization | MethodImplOptions.NoInlining)]
        private static Vector256<int> Sink(byte* from, byte* to)
        {
            Vector256<int> a = default, b = default;
            for (; from < to; from += 64)
            {
                a += Vector256.Load((int*)from);
                b += Vector256.Load((int*)(from + 32));
            }

            return a + b;
        }
    }
}
