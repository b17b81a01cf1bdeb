using System.Diagnostics;
using System.Globalization;
using Lamina.Cluster.Messages;
using Prometheus;

namespace Lamina.Coordinator.Api;

/// <summary>What <c>/metrics</c> shows. Labels come from closed sets: tenants, deployed models, routes, outcomes, status codes.</summary>
public sealed class ApiMetrics : IDisposable
{
    private readonly Histogram _firstToken;
    private readonly Histogram _tokenTime;
    private readonly Histogram _duration;
    private readonly Counter _promptTokens;
    private readonly Counter _generatedTokens;
    private readonly Counter _generations;
    private readonly Counter _requests;
    private readonly Histogram _requestTime;
    private readonly Gauge _running;
    private readonly Gauge _waiting;
    private readonly Gauge _ready;
    private readonly Gauge _epoch;
    private readonly Gauge _nodes;
    private readonly Gauge _kvBlocks;
    private readonly Gauge _kvBlocksUsed;
    private readonly Counter _replans;
    private readonly Gauge _certificateEnd;
    private readonly Gauge? _httpsCertificateEnd;
    private readonly Func<DateTimeOffset>? _httpsCertificate;
    private readonly Dictionary<(TenantId Tenant, string Model), int> _epochs = [];
    private readonly MeterExport _meters;

    /// <param name="httpsCertificate">When the API's certificate ends; null without one.</param>
    public ApiMetrics(Func<IReadOnlyList<Cell>> cells, Func<DateTimeOffset>? httpsCertificate = null)
    {
        _httpsCertificate = httpsCertificate;
        MetricFactory metrics = Metrics.WithCustomRegistry(Registry);
        double[] latencies = Histogram.ExponentialBuckets(0.001, 2, 17);
        _firstToken = metrics.CreateHistogram("lamina_time_to_first_token_seconds", "Time from a generation's submission to its first token.", ["model", "tenant"], new HistogramConfiguration { Buckets = latencies });
        _tokenTime = metrics.CreateHistogram("lamina_time_per_token_seconds", "Time between a generation's tokens.", ["model", "tenant"], new HistogramConfiguration { Buckets = latencies });
        _duration = metrics.CreateHistogram("lamina_generation_duration_seconds", "Time from a generation's submission to its end.", ["model", "tenant"], new HistogramConfiguration { Buckets = Histogram.ExponentialBuckets(0.01, 2, 17) });
        _promptTokens = metrics.CreateCounter("lamina_prompt_tokens_total", "Prompt tokens submitted.", ["model", "tenant"]);
        _generatedTokens = metrics.CreateCounter("lamina_generated_tokens_total", "Tokens generated.", ["model", "tenant"]);
        _generations = metrics.CreateCounter("lamina_generations_total", "Generations ended.", ["model", "tenant", "outcome"]);
        _requests = metrics.CreateCounter("lamina_http_requests_total", "HTTP requests answered.", ["route", "status"]);
        _requestTime = metrics.CreateHistogram("lamina_http_request_duration_seconds", "Time to answer an HTTP request whole.", ["route"], new HistogramConfiguration { Buckets = latencies });
        _running = metrics.CreateGauge("lamina_generations_running", "Sequences that the heads are computing.", ["model", "tenant"]);
        _waiting = metrics.CreateGauge("lamina_generations_waiting", "Generations that wait for a place or a pipeline.", ["model", "tenant"]);
        _ready = metrics.CreateGauge("lamina_deployment_ready", "1 when the deployment serves.", ["model", "tenant"]);
        _epoch = metrics.CreateGauge("lamina_deployment_epoch", "Counts the plans of a deployment.", ["model", "tenant"]);
        _nodes = metrics.CreateGauge("lamina_nodes", "Nodes that are up.", ["tenant"]);
        _kvBlocks = metrics.CreateGauge("lamina_kv_blocks", "Blocks of the key/value cache of the heads that serve.", ["model", "tenant"]);
        _kvBlocksUsed = metrics.CreateGauge("lamina_kv_blocks_used", "Those of them that sequences hold.", ["model", "tenant"]);
        _replans = metrics.CreateCounter("lamina_replans_total", "Plans of a deployment after its first.", ["model", "tenant"]);
        _certificateEnd = metrics.CreateGauge("lamina_certificate_expiry_timestamp_seconds", "When this coordinator's certificate in the cell ends, in seconds since 1970.", ["tenant"]);
        _httpsCertificateEnd = httpsCertificate is null ? null : metrics.CreateGauge("lamina_https_certificate_expiry_timestamp_seconds", "When the API's certificate ends, in seconds since 1970.");
        Registry.AddBeforeCollectCallback(() => Collect(cells()));
        _meters = new MeterExport(Registry);
    }

    public CollectorRegistry Registry { get; } = Prometheus.Metrics.NewCustomRegistry();

    /// <param name="unmirrored">Asked before each scrape.</param>
    internal void Watch(Func<IEnumerable<(TenantId Tenant, int Answers)>> unmirrored)
    {
        Gauge gauge = Metrics.WithCustomRegistry(Registry).CreateGauge("lamina_answers_unmirrored", "Kept answers that no other coordinator could go on with.", ["tenant"]);
        Registry.AddBeforeCollectCallback(() =>
        {
            foreach ((TenantId tenant, int answers) in unmirrored())
            {
                gauge.WithLabels(tenant.Value).Set(answers);
            }
        });
    }

    /// <param name="age">Asked before each scrape; null where no state is kept.</param>
    internal void WatchControl(Func<TimeSpan?> age)
    {
        if (age() is not null)
        {
            Gauge gauge = Metrics.WithCustomRegistry(Registry).CreateGauge("lamina_control_age_seconds", "Time since suspensions were last seen to be those of the database.");
            Registry.AddBeforeCollectCallback(() => gauge.Set(age()?.TotalSeconds ?? 0));
        }
    }

    public GenerationTimer StartGeneration(TenantId tenant, string model, int promptTokens)
    {
        _promptTokens.WithLabels(model, tenant.Value).Inc(promptTokens);
        return new GenerationTimer(
            _firstToken.WithLabels(model, tenant.Value), _tokenTime.WithLabels(model, tenant.Value), _duration.WithLabels(model, tenant.Value), _generatedTokens.WithLabels(model, tenant.Value),
            outcome => _generations.WithLabels(model, tenant.Value, outcome.ToString().ToLowerInvariant()).Inc());
    }

    /// <param name="route">The route's pattern, never the path that was asked for.</param>
    public void CountRequest(string route, int status, TimeSpan elapsed)
    {
        _requests.WithLabels(route, status.ToString(CultureInfo.InvariantCulture)).Inc();
        _requestTime.WithLabels(route).Observe(elapsed.TotalSeconds);
    }

    public void Dispose() => _meters.Dispose();

    private void Collect(IReadOnlyList<Cell> cells)
    {
        if (_httpsCertificate is not null)
        {
            _httpsCertificateEnd!.Set(_httpsCertificate().ToUnixTimeSeconds());
        }

        foreach (Cell cell in cells)
        {
            _certificateEnd.WithLabels(cell.Tenant.Value).Set(cell.CertificateEnds.ToUnixTimeSeconds());
            _nodes.WithLabels(cell.Tenant.Value).Set(cell.Nodes.Count);
            foreach (DeploymentView deployment in cell.Deployments)
            {
                GenerationProtocol.HeadLoad load = cell.LoadOf(deployment.Name, out int active);
                _running.WithLabels(deployment.Name, cell.Tenant.Value).Set(load.Running);
                _waiting.WithLabels(deployment.Name, cell.Tenant.Value).Set(Math.Max(load.Waiting, active - load.Running));
                _ready.WithLabels(deployment.Name, cell.Tenant.Value).Set(deployment.Phase == DeploymentPhase.Ready ? 1 : 0);
                _epoch.WithLabels(deployment.Name, cell.Tenant.Value).Set(deployment.Epoch);
                _kvBlocks.WithLabels(deployment.Name, cell.Tenant.Value).Set(load.KvBlocks);
                _kvBlocksUsed.WithLabels(deployment.Name, cell.Tenant.Value).Set(load.KvBlocks - load.FreeKvBlocks);
                CountPlans(cell.Tenant, deployment);
            }
        }
    }

    /// <summary>Epochs only grow, so that none is missed between two collections.</summary>
    private void CountPlans(TenantId tenant, DeploymentView deployment)
    {
        lock (_epochs)
        {
            int before = _epochs.GetValueOrDefault((tenant, deployment.Name));
            int plans = Math.Max(0, deployment.Epoch - Math.Max(before, 1));
            _epochs[(tenant, deployment.Name)] = Math.Max(before, deployment.Epoch);
            _replans.WithLabels(deployment.Name, tenant.Value).Inc(plans);
        }
    }
}

/// <summary>Times one generation's tokens.</summary>
public sealed class GenerationTimer(IHistogram firstToken, IHistogram tokenTime, IHistogram duration, ICounter tokens, Action<GenerationOutcome> end)
{
    private readonly long _start = Stopwatch.GetTimestamp();
    private long _last = Stopwatch.GetTimestamp();
    private bool _any;

    public void CountToken()
    {
        long now = Stopwatch.GetTimestamp();
        (_any ? tokenTime : firstToken).Observe(Stopwatch.GetElapsedTime(_last, now).TotalSeconds);
        tokens.Inc();
        (_last, _any) = (now, true);
    }

    public void End(GenerationOutcome outcome)
    {
        duration.Observe(Stopwatch.GetElapsedTime(_start).TotalSeconds);
        end(outcome);
    }
}
