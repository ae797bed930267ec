#!/bin/sh
# nextest's setup script of the suites that do not inspect the programs: builds the package that they install, of the `ci`
# profile unless CAS_PROFILE names another one, and exports the profile. A run that needs the release build anyway selects it.
set -eu
cd "$(dirname "$0")/../.."
export CAS_PROFILE="${CAS_PROFILE:-ci}"
packaging/deb.sh
echo "CAS_PROFILE=$CAS_PROFILE" >>"$NEXTEST_ENV"
