using System.Globalization;
using BenchmarkDotNet.Columns;
using BenchmarkDotNet.Reports;
using BenchmarkDotNet.Running;
using Lamina.Compute.Gguf;

namespace Lamina.Kernels.Bench;

/// <summary>A rate of every kernel, and what part it is of the same run's limit of the machine on as many threads.</summary>
/// <param name="limit">The method of <see cref="MachineLimits"/> that measures it.</param>
/// <param name="limitAmount">What one call of that method moves.</param>
/// <param name="amount">What one operation of a kernel moves, of its type and rows.</param>
internal sealed class RateColumn(string unit, string limit, long limitAmount, Func<GgmlType, int, double> amount, bool isShare) : IColumn
{
    public string Id => ColumnName;

    public string ColumnName => isShare ? $"of {limit}" : $"G{unit}/s";

    public string Legend => isShare ? $"share of {nameof(MachineLimits)}.{limit} on as many threads" : $"10^9 {unit} a second, by the median";

    public UnitType UnitType => UnitType.Dimensionless;

    public ColumnCategory Category => ColumnCategory.Custom;

    public int PriorityInCategory => isShare ? 1 : 0;

    public bool IsNumeric => true;

    public bool AlwaysShow => true;

    public bool IsAvailable(Summary summary) => true;

    public bool IsDefault(Summary summary, BenchmarkCase benchmarkCase) => false;

    public string GetValue(Summary summary, BenchmarkCase benchmarkCase) => GetValue(summary, benchmarkCase, SummaryStyle.Default);

    public string GetValue(Summary summary, BenchmarkCase benchmarkCase, SummaryStyle style)
    {
        double own = Rate(summary, benchmarkCase);
        if (!isShare)
        {
            return double.IsNaN(own) ? "-" : own.ToString("F1", CultureInfo.InvariantCulture);
        }

        object? threads = benchmarkCase.Parameters[nameof(MachineLimits.Threads)];
        double most = summary.BenchmarksCases
            .Where(other => other.Descriptor.Type == typeof(MachineLimits) && other.Descriptor.WorkloadMethod.Name == limit && Equals(other.Parameters[nameof(MachineLimits.Threads)], threads))
            .Select(other => Rate(summary, other))
            .FirstOrDefault(double.NaN);
        double share = own / most;
        return double.IsNaN(share) ? "-" : share.ToString("F2", CultureInfo.InvariantCulture);
    }

    // Amount in 10^9 a second; NaN where the case has no such rate or failed.
    private double Rate(Summary summary, BenchmarkCase benchmarkCase)
    {
        double? nanoseconds = summary[benchmarkCase]?.ResultStatistics?.Median;
        double moved = benchmarkCase.Descriptor.Type == typeof(MachineLimits)
            ? benchmarkCase.Descriptor.WorkloadMethod.Name == limit ? limitAmount : double.NaN
            : amount((GgmlType)benchmarkCase.Parameters[nameof(KernelBenchmarks.Type)], (int)benchmarkCase.Parameters[nameof(KernelBenchmarks.Rows)]);
        return nanoseconds is { } time ? moved / time : double.NaN;
    }
}
