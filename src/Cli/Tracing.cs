using System.Reflection;
using OpenTelemetry;
using OpenTelemetry.Exporter;
using OpenTelemetry.Resources;
using OpenTelemetry.Trace;

namespace Lamina.Cli;

/// <summary>Configuration of tracing, section <c>Tracing</c> of <c>lamina.json</c>; without the section nothing is traced.</summary>
internal sealed record TracingOptions
{
    /// <summary>Address of an OpenTelemetry collector, such as http://127.0.0.1:4317.</summary>
    public required string Endpoint { get; init; }

    /// <summary>How the collector is spoken to: Grpc, or Http for protobuf over HTTP, where the path is /v1/traces unless the address has one.</summary>
    public TracingProtocol Protocol { get; init; } = TracingProtocol.Grpc;

    /// <summary>Share of the requests that are traced where the caller has not decided: 0 to 1.</summary>
    public double SampleRatio { get; init; } = 1;

    /// <summary>File with headers for the collector, NAME=VALUE separated by commas; null = none.</summary>
    public string? HeadersPath { get; init; }
}

internal enum TracingProtocol { Grpc, Http }

/// <summary>Sends the spans of this process to a collector. A collector that is slow or gone holds up nothing: spans that do not fit the exporter's queue are dropped.</summary>
internal static class Tracing
{
    /// <summary>Null without the section; throws <see cref="ArgumentException"/> with one sentence when it cannot be used.</summary>
    /// <param name="service">Coordinator or node.</param>
    /// <param name="instance">Its name in the cell.</param>
    public static IDisposable? Start(TracingOptions? options, string service, string instance)
    {
        if (options is null)
        {
            return null;
        }

        if (!Uri.TryCreate(options.Endpoint, UriKind.Absolute, out Uri? endpoint) || (endpoint.Scheme != Uri.UriSchemeHttp && endpoint.Scheme != Uri.UriSchemeHttps))
        {
            throw new ArgumentException($"Tracing:Endpoint is '{options.Endpoint}', expected an http or https URL such as http://127.0.0.1:4317");
        }

        if (options.SampleRatio is not (>= 0 and <= 1))
        {
            throw new ArgumentException($"Tracing:SampleRatio is {options.SampleRatio}, expected 0 to 1");
        }

        string? headers = options.HeadersPath is { } path ? File.ReadAllText(path).Trim() : null;
        return Sdk.CreateTracerProviderBuilder()
            .SetResourceBuilder(ResourceBuilder.CreateEmpty().AddService($"lamina-{service}", "lamina", Assembly.GetExecutingAssembly().GetName().Version?.ToString(3), false, instance))
            .AddSource("Lamina.Coordinator", "Lamina.Node")
            .SetSampler(new ParentBasedSampler(new TraceIdRatioBasedSampler(options.SampleRatio)))
            .AddOtlpExporter(exporter =>
            {
                exporter.Protocol = options.Protocol == TracingProtocol.Http ? OtlpExportProtocol.HttpProtobuf : OtlpExportProtocol.Grpc;
                exporter.Endpoint = options.Protocol == TracingProtocol.Http && endpoint.AbsolutePath == "/" ? new Uri(endpoint, "/v1/traces") : endpoint;
                exporter.Headers = headers;
            })
            .Build();
    }
}
