@echo off
rem Starts the command `koala` after a build, which takes a second or two if nothing changed. Not tested on Windows.
setlocal
pushd "%~dp0"
if not exist src\Koala.Cli\bin\Release\net10.0\koala.dll echo Building Koala (first use, about a minute)... 1>&2
dotnet build src\Koala.Cli -c Release -v q -nologo -nodeReuse:false -tl:off -p:UseSharedCompilation=false 1>&2 <nul || exit /b 1
popd
dotnet "%~dp0src\Koala.Cli\bin\Release\net10.0\koala.dll" %*
exit /b %errorlevel%
