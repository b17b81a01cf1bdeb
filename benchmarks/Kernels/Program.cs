using System.Globalization;
using BenchmarkDotNet.Configs;
using BenchmarkDotNet.Jobs;
using BenchmarkDotNet.Running;
using BenchmarkDotNet.Toolchains.InProcess.Emit;
using Lamina.Compute.Gguf;
using Lamina.Compute.Kernels;
using Lamina.Kernels.Bench;
using Perfolizer.Horology;

// Kernels.Bench [BenchmarkDotNet's options]: kernels in bytes and multiplications a second beside the machine's limits, measured in the same run; '--filter *' runs all,
//   --filter '*MachineLimits*' '*Type: Q4_0,*' those of one type.
// Kernels.Bench -g [VOCABULARY.gguf] [-d milliseconds]: what grammars cost a step, with a made-up vocabulary of 128k tokens or a file's, beside a decode step of so many milliseconds.
// Kernels.Bench -m MODEL [-t threads] [-v scalar|avx2|avx512] [-r rounds] [-p prompt] [-n decode] [-c context]: a whole model through one stage.
if (args.FirstOrDefault() is not ("-g" or "-m"))
{
    // Many short cases: what they differ by is the neighbours on the machine more than the number of iterations.
    Job job = Job.Default.WithToolchain(InProcessEmitToolchain.Instance).WithWarmupCount(2).WithIterationCount(8).WithIterationTime(TimeInterval.FromMilliseconds(100));
    IConfig config = DefaultConfig.Instance.AddJob(job).WithOptions(ConfigOptions.JoinSummary).WithArtifactsPath("artifacts/kernels").AddColumn(
        new RateColumn("B", nameof(MachineLimits.Read), MachineLimits.ReadBytes, WeightBytes, isShare: false),
        new RateColumn("B", nameof(MachineLimits.Read), MachineLimits.ReadBytes, WeightBytes, isShare: true),
        new RateColumn("MAC", nameof(MachineLimits.MultiplyBytes), MachineLimits.Products, Products, isShare: false),
        new RateColumn("MAC", nameof(MachineLimits.MultiplyBytes), MachineLimits.Products, Products, isShare: true));
    BenchmarkSwitcher.FromAssembly(typeof(KernelBenchmarks).Assembly).Run(args, config);
    return;
}

int threads = 2, rounds = 15, prompt = 128, decode = 32, context = 0;
string? model = null, vocabulary = null;
double decodeMilliseconds = 0;
CpuVariant variant = CpuVariants.Chosen;
for (int i = 0; i < args.Length; i++)
{
    switch (args[i])
    {
        case "-t": threads = int.Parse(args[++i], CultureInfo.InvariantCulture); break;
        case "-r": rounds = int.Parse(args[++i], CultureInfo.InvariantCulture); break;
        case "-p": prompt = int.Parse(args[++i], CultureInfo.InvariantCulture); break;
        case "-n": decode = int.Parse(args[++i], CultureInfo.InvariantCulture); break;
        case "-c": context = int.Parse(args[++i], CultureInfo.InvariantCulture); break;
        case "-g":
            vocabulary = i + 1 < args.Length && !args[i + 1].StartsWith('-') ? args[++i] : null;
            break;
        case "-d": decodeMilliseconds = double.Parse(args[++i], CultureInfo.InvariantCulture); break;
        case "-m": model = args[++i]; break;
        case "-v": variant = Enum.Parse<CpuVariant>(args[++i], ignoreCase: true); break;
        default: throw new ArgumentException($"'{args[i]}' is no option of Kernels.Bench");
    }
}

if (model is not null)
{
    ModelCase.Measure(model, threads, variant, prompt, decode, context, rounds);
}
else
{
    GrammarCase.Measure(vocabulary, decodeMilliseconds);
}

static double WeightBytes(GgmlType type, int rows) =>
    (double)KernelBenchmarks.Matrices(type, rows) * GgmlTypes.ByteLength(type, (long)KernelBenchmarks.WeightRows * KernelBenchmarks.Columns);

static double Products(GgmlType type, int rows) => (double)KernelBenchmarks.Matrices(type, rows) * rows * KernelBenchmarks.WeightRows * KernelBenchmarks.Columns;
