namespace Lamina.Compute.Devices;

/// <summary>A device's sensors.</summary>
/// <param name="Utilisation">Share of the last moments in which it computed, 0 to 1.</param>
/// <param name="MemoryUsedBytes">Of all processes.</param>
public readonly record struct DeviceReading(double Utilisation, long MemoryUsedBytes, double PowerWatts, double TemperatureCelsius);
