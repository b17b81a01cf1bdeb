using System.Collections.Concurrent;
using System.Diagnostics.Metrics;
using System.Globalization;
using Prometheus;

namespace Lamina.Coordinator.Api;

/// <summary>
/// Shows the meters of this program's rooms in a Prometheus registry, as <c>lamina_cluster_...</c> and <c>lamina_node_...</c>. A series of an observed instrument
/// that is no longer reported, such as a stage that was replaced, is gone at the next collection.
/// </summary>
public sealed class MeterExport : IDisposable
{
    private readonly MeterListener _listener = new();
    private readonly MetricFactory _factory;
    private readonly ConcurrentDictionary<Instrument, Family> _families = new();
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
                listener.EnableMeasurementEvents(instrument);
            }
        };
        _listener.SetMeasurementEventCallback<int>((instrument, value, tags, _) => Take(instrument, value, tags));
        _listener.SetMeasurementEventCallback<long>((instrument, value, tags, _) => Take(instrument, value, tags));
        _listener.SetMeasurementEventCallback<double>((instrument, value, tags, _) => Take(instrument, value, tags));
        _listener.Start();
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

    private void Take(Instrument instrument, double value, ReadOnlySpan<KeyValuePair<string, object?>> tags)
    {
        string[] names = new string[tags.Length], values = new string[tags.Length];
        for (int i = 0; i < tags.Length; i++)
        {
            (names[i], values[i]) = (tags[i].Key, Convert.ToString(tags[i].Value, CultureInfo.InvariantCulture) ?? "");
        }

        // An instrument always gives the same labels, so those of its first measurement hold.
        _families.GetOrAdd(instrument, _ => new Family(_factory, instrument, names)).Take(value, values);
    }

    /// <summary>One instrument's metric.</summary>
    private sealed class Family
    {
        private readonly bool _isObserved;
        private readonly Counter? _counter;
        private readonly Gauge? _gauge;
        private readonly HashSet<string> _reported = [];

        public Family(MetricFactory factory, Instrument instrument, string[] labels)
        {
            string name = $"{instrument.Meter.Name.Replace('.', '_').ToLowerInvariant()}_{instrument.Name}";
            string help = instrument.Description ?? instrument.Name.Replace('_', ' ');
            _isObserved = instrument.IsObservable;
            if (instrument.Name.EndsWith("_total", StringComparison.Ordinal))
            {
                _counter = factory.CreateCounter(name, help, labels);
            }
            else
            {
                _gauge = factory.CreateGauge(name, help, labels);
            }
        }

        public void Take(double value, string[] labels)
        {
            if (_isObserved)
            {
                _reported.Add(string.Join('\0', labels));
                _counter?.WithLabels(labels).IncTo(value);
                _gauge?.WithLabels(labels).Set(value);
            }
            else
            {
                _counter?.WithLabels(labels).Inc(value);
                _gauge?.WithLabels(labels).Inc(value);
            }
        }

        public void RemoveUnreported()
        {
            if (!_isObserved)
            {
                return;
            }

            foreach (string[] labels in (_counter?.GetAllLabelValues() ?? _gauge!.GetAllLabelValues()).Where(labels => !_reported.Contains(string.Join('\0', labels))).ToArray())
            {
                _counter?.RemoveLabelled(labels);
                _gauge?.RemoveLabelled(labels);
            }

            _reported.Clear();
        }
    }
}
