using System.Collections.Concurrent;
using System.Diagnostics.CodeAnalysis;
using System.Diagnostics.Metrics;
using System.Globalization;
using Lamina.Cluster.Processes;
using Prometheus;

namespace Lamina.Coordinator.Api;

/// <summary>
/// Shows the meters of this program's rooms in a Prometheus registry, as <c>lamina_cluster_...</c>, <c>lamina_node_...</c> and so on. A series of an observed instrument
/// that is no longer reported, such as a stage that was replaced, is gone at the next collection. A measurement of a series that is known allocates nothing.
/// </summary>
public sealed class MeterExport : IDisposable
{
    private readonly MeterListener _listener = new();
    private readonly MetricFactory _factory;
    private readonly ConcurrentDictionary<string, Family> _families = new(StringComparer.Ordinal);
    private readonly Lock _collecting = new();
    private volatile bool _disposed;

    /// <summary>Start it before what it watches: sums of changes count from here.</summary>
    public MeterExport(CollectorRegistry registry)
    {
        _factory = Metrics.WithCustomRegistry(registry);
        _listener.InstrumentPublished = (instrument, listener) =>
        {
            if (instrument.Meter.Name.StartsWith("Lamina.", StringComparison.Ordinal))
            {
                // Several of a process' nodes have instruments of the same name.
                string name = $"{instrument.Meter.Name.Replace('.', '_').ToLowerInvariant()}_{instrument.Name}";
                listener.EnableMeasurementEvents(instrument, _families.GetOrAdd(name, _ => new Family(_factory, name, instrument)));
            }
        };
        _listener.SetMeasurementEventCallback<int>((_, value, tags, family) => ((Family)family!).Take(value, tags));
        _listener.SetMeasurementEventCallback<long>((_, value, tags, family) => ((Family)family!).Take(value, tags));
        _listener.SetMeasurementEventCallback<double>((_, value, tags, family) => ((Family)family!).Take(value, tags));
        _listener.Start();
        ProcessMetrics.Start();
        registry.AddBeforeCollectCallback(Collect);
    }

    public void Dispose()
    {
        _disposed = true;
        _listener.Dispose();
    }

    private void Collect()
    {
        if (_disposed)
        {
            return;
        }

        lock (_collecting)
        {
            _listener.RecordObservableInstruments();
            foreach (Family family in _families.Values)
            {
                family.RemoveUnreported();
            }
        }
    }

    /// <summary>What one name of instruments shows, by labels.</summary>
    private sealed class Family
    {
        private readonly MetricFactory _factory;
        private readonly string _name;
        private readonly string _help;
        private readonly bool _isObserved;
        private readonly double[]? _buckets;
        private readonly ConcurrentDictionary<KeyValuePair<string, object?>[], Series> _series = new(LabelComparer.Instance);
        private readonly ConcurrentDictionary<KeyValuePair<string, object?>[], Series>.AlternateLookup<ReadOnlySpan<KeyValuePair<string, object?>>> _known;

        public Family(MetricFactory factory, string name, Instrument instrument)
        {
            (_factory, _name, _isObserved) = (factory, name, instrument.IsObservable);
            _help = instrument.Description ?? instrument.Name.Replace('_', ' ');
            _buckets = instrument switch
            {
                Histogram<double> { Advice.HistogramBucketBoundaries: { } boundaries } => [.. boundaries],
                Histogram<int> { Advice.HistogramBucketBoundaries: { } boundaries } => [.. boundaries],
                Histogram<double> or Histogram<int> => Histogram.ExponentialBuckets(0.001, 2, 17),
                _ => null,
            };
            _known = _series.GetAlternateLookup<ReadOnlySpan<KeyValuePair<string, object?>>>();
        }

        public void Take(double value, ReadOnlySpan<KeyValuePair<string, object?>> tags)
        {
            if (!_known.TryGetValue(tags, out Series? series))
            {
                KeyValuePair<string, object?>[] labels = tags.ToArray();
                series = _series.GetOrAdd(labels, Create);
            }

            series.IsReported = true;
            series.Take(value, _isObserved);
        }

        public void RemoveUnreported()
        {
            if (!_isObserved)
            {
                return;
            }

            foreach ((KeyValuePair<string, object?>[] labels, Series series) in _series)
            {
                if (!series.IsReported)
                {
                    series.Remove();
                    _series.TryRemove(labels, out _);
                }

                series.IsReported = false;
            }
        }

        private Series Create(KeyValuePair<string, object?>[] labels)
        {
            string[] names = [.. labels.Select(label => label.Key)];
            string[] values = [.. labels.Select(label => Convert.ToString(label.Value, CultureInfo.InvariantCulture) ?? "")];
            if (_buckets is not null)
            {
                Histogram histogram = _factory.CreateHistogram(_name, _help, names, new HistogramConfiguration { Buckets = _buckets, ExemplarBehavior = ExemplarBehavior.NoExemplars() });
                return new Series(null, null, histogram.WithLabels(values), () => histogram.RemoveLabelled(values));
            }

            if (_name.EndsWith("_total", StringComparison.Ordinal))
            {
                Counter counter = _factory.CreateCounter(_name, _help, names, new CounterConfiguration { ExemplarBehavior = ExemplarBehavior.NoExemplars() });
                return new Series(counter.WithLabels(values), null, null, () => counter.RemoveLabelled(values));
            }

            Gauge gauge = _factory.CreateGauge(_name, _help, names);
            return new Series(null, gauge.WithLabels(values), null, () => gauge.RemoveLabelled(values));
        }
    }

    private sealed class Series(ICounter? counter, IGauge? gauge, IHistogram? histogram, Action remove)
    {
        public bool IsReported { get; set; }

        public void Take(double value, bool isObserved)
        {
            histogram?.Observe(value);
            if (isObserved)
            {
                counter?.IncTo(value);
                gauge?.Set(value);
            }
            else
            {
                counter?.Inc(value);
                gauge?.Inc(value);
            }
        }

        public void Remove() => remove();
    }

    /// <summary>Compares labels as they come with a measurement; an instrument gives the same ones in the same order.</summary>
    private sealed class LabelComparer : IEqualityComparer<KeyValuePair<string, object?>[]>, IAlternateEqualityComparer<ReadOnlySpan<KeyValuePair<string, object?>>, KeyValuePair<string, object?>[]>
    {
        public static LabelComparer Instance { get; } = new();

        public bool Equals(KeyValuePair<string, object?>[]? x, KeyValuePair<string, object?>[]? y) => x is not null && y is not null && Equals(x.AsSpan(), y);

        public bool Equals(ReadOnlySpan<KeyValuePair<string, object?>> alternate, KeyValuePair<string, object?>[] other)
        {
            if (alternate.Length != other.Length)
            {
                return false;
            }

            for (int i = 0; i < other.Length; i++)
            {
                if (alternate[i].Key != other[i].Key || !Equals(alternate[i].Value, other[i].Value))
                {
                    return false;
                }
            }

            return true;
        }

        public int GetHashCode([DisallowNull] KeyValuePair<string, object?>[] obj) => GetHashCode(obj.AsSpan());

        public int GetHashCode(ReadOnlySpan<KeyValuePair<string, object?>> alternate)
        {
            int hash = alternate.Length;
            foreach (KeyValuePair<string, object?> label in alternate)
            {
                hash = HashCode.Combine(hash, label.Value);
            }

            return hash;
        }

        public KeyValuePair<string, object?>[] Create(ReadOnlySpan<KeyValuePair<string, object?>> alternate) => alternate.ToArray();
    }
}
